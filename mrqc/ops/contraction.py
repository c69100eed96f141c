"""Shape rules of convolutions and fully connected layers, the same in both dialects."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

from mrqc.ir.op import Op, Value
from mrqc.ops.broadcast import broadcast_shape
from mrqc.ops.window import Window


@dataclass(frozen=True)
class ContractionBase(Op):
    """What multiplies two operands and adds up the products."""

    @property
    @abstractmethod
    def output_shape(self) -> tuple[int, ...]:
        """The shape of the result."""


@dataclass(frozen=True)
class _KernelBase(ContractionBase):
    """What meets an NHWC input with OHWI weights in groups of channels."""

    input: Value
    weight: Value
    bias: Value | None = None
    strides: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilations: tuple[int, int] = (1, 1)
    groups: int = 1

    @property
    def window(self) -> Window:
        """The kernel as a window: over the input, or over the result where the op is transposed."""
        _, height, width, _ = self.weight.type.shape
        return Window((height, width), self.strides, self.padding, self.dilations)

    @abstractmethod
    def window_problems(self) -> Iterator[str]:
        """Yield how the window does not fit the image."""

    def problems(self) -> Iterator[str]:
        """Yield the broken rules."""
        if self.input.type.rank != 4 or self.weight.type.rank != 4:
            yield (
                f"input must be NHWC and weight OHWI, found ranks {self.input.type.rank} and {self.weight.type.rank}"
            )
            return
        channels = self.input.type.shape[3]
        outputs, _, _, depth = self.weight.type.shape
        if self.groups < 1 or channels % self.groups or outputs % self.groups:
            yield f"{self.groups} groups do not divide {channels} input and {outputs} output channels"
        elif depth != channels // self.groups:
            yield f"weights for {depth} input channels a group, the input has {channels // self.groups}"
        if self.bias is not None and self.bias.type.shape != (outputs,):
            yield f"bias must have shape [{outputs}], found {list(self.bias.type.shape)}"
        yield from self.window_problems()


@dataclass(frozen=True)
class Conv2DBase(_KernelBase):
    """Cross-correlation of an NHWC input with OHWI weights.

    Shapes: input ``[N, H, W, C]``, weight ``[O, KH, KW, C / groups]``, bias ``[O]``. Output channel ``o`` reads the
    input channels of group ``o // (O / groups)``; a depthwise convolution has ``groups == C``.
    """

    @property
    def is_depthwise(self) -> bool:
        """Whether every group reads one input channel."""
        return self.groups > 1 and self.weight.type.shape[3] == 1

    @property
    def output_shape(self) -> tuple[int, ...]:
        """The NHWC shape of the result."""
        batch, height, width, _ = self.input.type.shape
        return (batch, *self.window.output_size(height, width), self.weight.type.shape[0])

    def window_problems(self) -> Iterator[str]:
        """Yield how the window does not fit the image."""
        _, height, width, _ = self.input.type.shape
        yield from self.window.problems(height, width)


@dataclass(frozen=True)
class TransposeConv2DBase(_KernelBase):
    """Each input element times the kernel, added onto the result: the transpose of a convolution, of NHWC by OHWI.

    Shapes as in a convolution. Input pixel ``(y, x)`` and tap ``(i, j)`` meet in the result at row ``y * stride +
    i * dilation - top``, and so the column; what falls outside is lost. A negative padding at the bottom or right
    makes the result larger.
    """

    @property
    def output_shape(self) -> tuple[int, ...]:
        """The NHWC shape of the result."""
        batch, height, width, _ = self.input.type.shape
        outputs, kernel_height, kernel_width, _ = self.weight.type.shape
        top, left, bottom, right = self.padding
        rows = (height - 1) * self.strides[0] + (kernel_height - 1) * self.dilations[0] + 1 - top - bottom
        columns = (width - 1) * self.strides[1] + (kernel_width - 1) * self.dilations[1] + 1 - left - right
        return (batch, rows, columns, outputs)

    def window_problems(self) -> Iterator[str]:
        """Yield how nothing would be left of the result."""
        if min(*self.strides, *self.dilations) < 1:
            yield f"strides and dilations must be at least 1, found {list(self.strides)}, {list(self.dilations)}"
        elif min(self.padding[:2]) < 0:
            yield f"padding at the top and left must not be negative, found {list(self.padding)}"
        elif min(self.output_shape[1:3]) < 1:
            yield f"padding {list(self.padding)} leaves nothing of the result"


@dataclass(frozen=True)
class FullyConnectedBase(ContractionBase):
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


@dataclass(frozen=True)
class BatchMatMulBase(ContractionBase):
    """Matrix products: lhs ``[..., M, K]`` by rhs ``[..., K, N]``; leading axes are stretched over each other.

    An adjoint operand has its last two axes exchanged.
    """

    lhs: Value
    rhs: Value
    adjoint_lhs: bool = False
    adjoint_rhs: bool = False

    @property
    def matrices(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Rows and columns of both operands as they are multiplied."""
        lhs, rhs = self.lhs.type.shape[-2:], self.rhs.type.shape[-2:]
        return (
            (lhs[1], lhs[0]) if self.adjoint_lhs else (lhs[0], lhs[1]),
            (rhs[1], rhs[0]) if self.adjoint_rhs else (rhs[0], rhs[1]),
        )

    @property
    def output_shape(self) -> tuple[int, ...]:
        """The shape of the result."""
        batch = broadcast_shape(self.lhs.type.shape[:-2], self.rhs.type.shape[:-2])
        assert batch is not None, "called only where problems found nothing"
        (rows, _), (_, columns) = self.matrices
        return (*batch, rows, columns)

    def problems(self) -> Iterator[str]:
        """Yield the broken rules."""
        if min(self.lhs.type.rank, self.rhs.type.rank) < 2:
            yield f"operands need at least 2 axes, found ranks {self.lhs.type.rank} and {self.rhs.type.rank}"
            return
        (_, depth), (other, _) = self.matrices
        if depth != other:
            yield f"rows of {depth} elements meet columns of {other}"
        if broadcast_shape(self.lhs.type.shape[:-2], self.rhs.type.shape[:-2]) is None:
            yield f"shapes {list(self.lhs.type.shape)} and {list(self.rhs.type.shape)} have different leading axes"
