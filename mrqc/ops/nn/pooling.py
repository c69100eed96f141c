"""``nn.average_pool2d`` and ``nn.max_pool2d``; a global pool has a kernel as large as its input and steps of 1."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from mrqc.ir.op import Op, Value
from mrqc.ir.types import FLOAT, Element, TensorType
from mrqc.ops.nn.clamp import UNBOUNDED, clamp_problems
from mrqc.ops.window import Window, pool_problems, pool_shape


@dataclass(frozen=True)
class AveragePool2D(Op):
    """Mean of each window; padding counts as zeros where ``count_include_pad``, else not at all."""

    mnemonic: ClassVar[str] = "nn.average_pool2d"
    input: Value
    kernel: tuple[int, int]
    strides: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    count_include_pad: bool = False
    clamp: tuple[float, float] = UNBOUNDED
    element: Element = FLOAT

    @property
    def window(self) -> Window:
        """The sliding window."""
        return Window(self.kernel, self.strides, self.padding)

    @property
    def covers_image(self) -> bool:
        """Whether it has one window, the whole image."""
        return self.kernel == self.input.type.shape[1:3] and not self.window.is_padded

    @property
    def is_global(self) -> bool:
        """Whether it is a global pool: one window, the whole image, and steps of 1.

        The window takes no step, but ONNX Runtime adds up floats in an order of its own where steps are 1: that of
        its global pool.
        """
        return self.covers_image and self.strides == (1, 1)

    def problems(self) -> Iterator[str]:
        """Yield the broken rules."""
        yield from pool_problems(self.input, self.window)
        yield from clamp_problems(self.clamp)

    def infer(self) -> tuple[TensorType, ...]:
        """Return the NHWC result."""
        return (TensorType(pool_shape(self.input, self.window), self.element),)


@dataclass(frozen=True)
class MaxPool2D(Op):
    """Largest real value of each window; padding never wins."""

    mnemonic: ClassVar[str] = "nn.max_pool2d"
    input: Value
    kernel: tuple[int, int]
    strides: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    clamp: tuple[float, float] = UNBOUNDED
    element: Element = FLOAT

    @property
    def window(self) -> Window:
        """The sliding window."""
        return Window(self.kernel, self.strides, self.padding)

    def problems(self) -> Iterator[str]:
        """Yield the broken rules."""
        yield from pool_problems(self.input, self.window)
        yield from clamp_problems(self.clamp)

    def infer(self) -> tuple[TensorType, ...]:
        """Return the NHWC result."""
        return (TensorType(pool_shape(self.input, self.window), self.element),)
