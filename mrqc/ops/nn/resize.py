"""``nn.resize_bilinear`` and ``nn.resize_nearest``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from math import ceil, floor
from typing import ClassVar

from mrqc.ir.op import Op, Value
from mrqc.ir.types import FLOAT, Element, TensorType
from mrqc.ops.structure import per_tensor_problems


class Coordinates(StrEnum):
    """Where pixel ``i`` of the result lies among the pixels of the input, with ``r`` the ratio of their numbers."""

    ASYMMETRIC = "asymmetric"
    """At ``i * r``."""
    HALF_PIXEL = "half-pixel"
    """At ``(i + 1/2) * r - 1/2``."""
    PYTORCH_HALF_PIXEL = "pytorch-half-pixel"
    """As half-pixel, but at 0 where the result has only one pixel."""
    ALIGN_CORNERS = "align-corners"
    """The outermost pixels meet: ``i * (input - 1) / (result - 1)``, 0 where the result has only one pixel."""

    def place(self, index: int, size: int, result: int) -> Fraction:
        """Return where pixel ``index`` of ``result`` pixels lies among ``size`` pixels."""
        if result == 1 and self in (Coordinates.PYTORCH_HALF_PIXEL, Coordinates.ALIGN_CORNERS):
            return Fraction(0)
        match self:
            case Coordinates.ASYMMETRIC:
                return Fraction(index * size, result)
            case Coordinates.ALIGN_CORNERS:
                return Fraction(index * (size - 1), result - 1)
            case _:
                return Fraction((2 * index + 1) * size - result, 2 * result)


class Nearest(StrEnum):
    """Which of two pixels is the nearest."""

    FLOOR = "floor"
    """The one before."""
    CEIL = "ceil"
    """The one behind."""
    PREFER_FLOOR = "prefer-floor"
    """The nearer one; in the middle, the one before."""
    PREFER_CEIL = "prefer-ceil"
    """The nearer one; in the middle, the one behind."""

    def choose(self, place: Fraction) -> int:
        """Return the pixel for a place between two."""
        match self:
            case Nearest.FLOOR:
                return floor(place)
            case Nearest.CEIL:
                return ceil(place)
            case Nearest.PREFER_FLOOR:
                return ceil(place - Fraction(1, 2))
            case Nearest.PREFER_CEIL:
                return floor(place + Fraction(1, 2))


@dataclass(frozen=True)
class ResizeBilinear(Op):
    """An image of another size, each pixel a mean of the four around its place, weighted by nearness.

    Places beyond the outermost pixels count as those pixels.
    """

    mnemonic: ClassVar[str] = "nn.resize_bilinear"
    input: Value
    size: tuple[int, int]
    coordinates: Coordinates = Coordinates.ASYMMETRIC
    element: Element = FLOAT

    def problems(self) -> Iterator[str]:
        """Yield the broken rules."""
        yield from resize_problems(self.input, self.size)

    def infer(self) -> tuple[TensorType, ...]:
        """Return the NHWC result."""
        return (TensorType(resized_shape(self.input, self.size), self.element),)


@dataclass(frozen=True)
class ResizeNearest(Op):
    """An image of another size, each pixel the nearest one of the input."""

    mnemonic: ClassVar[str] = "nn.resize_nearest"
    input: Value
    size: tuple[int, int]
    coordinates: Coordinates = Coordinates.ASYMMETRIC
    rounding: Nearest = Nearest.FLOOR
    element: Element = FLOAT

    def problems(self) -> Iterator[str]:
        """Yield the broken rules."""
        yield from resize_problems(self.input, self.size)

    def infer(self) -> tuple[TensorType, ...]:
        """Return the NHWC result."""
        return (TensorType(resized_shape(self.input, self.size), self.element),)

    def indices(self, axis: int, off: Fraction = Fraction(0)) -> tuple[int, ...]:
        """Return which row (axis 0) or column (axis 1) of the input each one of the result is.

        Args:
            axis: 0 or 1.
            off: What is added to the place of each before the nearest pixel is chosen.
        """
        size, result = self.input.type.shape[1 + axis], self.size[axis]
        places = (self.coordinates.place(index, size, result) for index in range(result))
        return tuple(min(max(self.rounding.choose(place + off), 0), size - 1) for place in places)


def resize_problems(input_: Value, size: tuple[int, int]) -> Iterator[str]:
    """Yield the rules of a change of size that are broken."""
    if input_.type.rank != 4:
        yield f"the input must be NHWC, found rank {input_.type.rank}"
    if min(size) < 1:
        yield f"the size must be at least 1x1, found {list(size)}"
    yield from per_tensor_problems(input_, "resized")


def resized_shape(input_: Value, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return the NHWC shape of the result."""
    batch, _, _, channels = input_.type.shape
    return (batch, *size, channels)
