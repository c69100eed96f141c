"""Shape rules of convolutions and fully connected layers, the same in both dialects."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mrqc.ir.op import Op, Value
from mrqc.ops.window import Window


@dataclass(frozen=True)
class Conv2DBase(Op):
    """Cross-correlation of an NHWC input with OHWI weights.

    Shapes: input ``[N, H, W, C]``, weight ``[O, KH, KW, C / groups]``, bias ``[O]``. Output channel ``o`` reads the
    input channels of group ``o // (O / groups)``; a depthwise convolution has ``groups == C``.
    """

    input: Value
    weight: Value
    bias: Value | None = None
    strides: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilations: tuple[int, int] = (1, 1)
    groups: int = 1

    @property
    def window(self) -> Window:
        """The sliding window."""
        _, height, width, _ = self.weight.type.shape
        return Window((height, width), self.strides, self.padding, self.dilations)

    @property
    def is_depthwise(self) -> bool:
        """Whether every group reads one input channel."""
        return self.groups > 1 and self.weight.type.shape[3] == 1

    @property
    def output_shape(self) -> tuple[int, ...]:
        """The NHWC shape of the result."""
        batch, height, width, _ = self.input.type.shape
        return (batch, *self.window.output_size(height, width), self.weight.type.shape[0])

    def problems(self) -> Iterator[str]:
        """Yield the broken rules."""
        if self.input.type.rank != 4 or self.weight.type.rank != 4:
            yield (
                f"input must be NHWC and weight OHWI, found ranks {self.input.type.rank} and {self.weight.type.rank}"
            )
            return
        _, height, width, channels = self.input.type.shape
        outputs, _, _, depth = self.weight.type.shape
        if self.groups < 1 or channels % self.groups or outputs % self.groups:
            yield f"{self.groups} groups do not divide {channels} input and {outputs} output channels"
        elif depth != channels // self.groups:
            yield f"weights for {depth} input channels a group, the input has {channels // self.groups}"
        if self.bias is not None and self.bias.type.shape != (outputs,):
            yield f"bias must have shape [{outputs}], found {list(self.bias.type.shape)}"
        yield from self.window.problems(height, width)


@dataclass(frozen=True)
class FullyConnectedBase(Op):
    """``y = x W^T + b``. Shapes: input ``[N, C]``, weight ``[O, C]``, bias ``[O]``, result ``[N, O]``."""

    input: Value
    weight: Value
    bias: Value | None = None

    @property
    def output_shape(self) -> tuple[int, ...]:
        """The shape of the result."""
        return (self.input.type.shape[0], self.weight.type.shape[0])

    def problems(self) -> Iterator[str]:
        """Yield the broken rules."""
        if self.input.type.rank != 2 or self.weight.type.rank != 2:
            yield (f"input and weight must have rank 2, found {self.input.type.rank} and {self.weight.type.rank}")
            return
        outputs, depth = self.weight.type.shape
        if depth != self.input.type.shape[1]:
            yield f"weights for {depth} inputs, the input has {self.input.type.shape[1]}"
        if self.bias is not None and self.bias.type.shape != (outputs,):
            yield f"bias must have shape [{outputs}], found {list(self.bias.type.shape)}"
