"""``int.average_pool2d``, ``int.mean_pool2d`` and ``int.max_pool2d``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from mrqc.ir.op import Op, Value
from mrqc.ir.types import Element, TensorType
from mrqc.ops.int.contraction import activation_problems, zero_point_problems
from mrqc.ops.int.requantize import Requantize
from mrqc.ops.window import Window, pool_problems, pool_shape


@dataclass(frozen=True)
class AveragePool2D(Op):
    """``requantize(sum(input - input_zero_point))`` over each window; the multiplier divides by the count.

    Padding contributes nothing, so it counts as the zero point.
    """

    mnemonic: ClassVar[str] = "int.average_pool2d"
    input: Value
    kernel: tuple[int, int]
    strides: tuple[int, int]
    padding: tuple[int, int, int, int]
    requantize: Requantize
    element: Element
    input_zero_point: int = 0

    @property
    def window(self) -> Window:
        """The sliding window."""
        return Window(self.kernel, self.strides, self.padding)

    def problems(self) -> Iterator[str]:
        """Yield the broken rules."""
        yield from activation_problems(self.input)
        yield from zero_point_problems("input", self.input, self.input_zero_point)
        yield from pool_problems(self.input, self.window)
        yield from self.requantize.problems(self.element.dtype, 1)

    def infer(self) -> tuple[TensorType, ...]:
        """Return the NHWC result."""
        return (TensorType(pool_shape(self.input, self.window), self.element),)


@dataclass(frozen=True)
class MeanPool2D(Op):
    """``clamp(sum / number)`` of the codes of each window that lie in the image, rounded half away from zero.

    The zero point takes part as every code does, so that the element stays but for what it is called.
    """

    mnemonic: ClassVar[str] = "int.mean_pool2d"
    input: Value
    kernel: tuple[int, int]
    strides: tuple[int, int]
    padding: tuple[int, int, int, int]
    minimum: int
    maximum: int
    element: Element

    @property
    def window(self) -> Window:
        """The sliding window."""
        return Window(self.kernel, self.strides, self.padding)

    def problems(self) -> Iterator[str]:
        """Yield the broken rules."""
        yield from activation_problems(self.input)
        yield from pool_problems(self.input, self.window)
        dtype = self.element.dtype
        if dtype is not self.input.type.dtype:
            yield f"codes of {self.input.type.dtype} cannot have a mean of {dtype}"
        elif dtype.is_integer and not dtype.minimum <= self.minimum <= self.maximum <= dtype.maximum:
            yield f"the clamp [{self.minimum}, {self.maximum}] is not an interval of {dtype}"

    def infer(self) -> tuple[TensorType, ...]:
        """Return the NHWC result."""
        return (TensorType(pool_shape(self.input, self.window), self.element),)


@dataclass(frozen=True)
class MaxPool2D(Op):
    """The greatest code of each window; padding never wins."""

    mnemonic: ClassVar[str] = "int.max_pool2d"
    input: Value
    kernel: tuple[int, int]
    strides: tuple[int, int]
    padding: tuple[int, int, int, int]

    @property
    def window(self) -> Window:
        """The sliding window."""
        return Window(self.kernel, self.strides, self.padding)

    def problems(self) -> Iterator[str]:
        """Yield the broken rules."""
        yield from activation_problems(self.input)
        yield from pool_problems(self.input, self.window)

    def infer(self) -> tuple[TensorType, ...]:
        """Return the NHWC result, elements as in the input."""
        return (TensorType(pool_shape(self.input, self.window), self.input.type.element),)
