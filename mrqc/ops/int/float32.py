"""Codes to codes through single precision, as runtimes' kernels compute: what no integer multiplier reproduces.

Every step named here is one operation of IEEE single precision, rounded half to even.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from mrqc.ir.dtype import DType
from mrqc.ir.op import Op, Value
from mrqc.ir.types import Element, TensorType
from mrqc.ops.broadcast import broadcast_problems, result_shape
from mrqc.ops.int.contraction import activation_problems
from mrqc.ops.window import Window, pool_problems, pool_shape

_CODES = (DType.I8, DType.U8)


@dataclass(frozen=True)
class FloatRescale(Op):
    """``rint(clamp(input * scale, minimum - zero_point, maximum - zero_point)) + zero_point``.

    The input, integers such as the sums of a convolution, is rounded to single precision first. With more than one
    scale there is one for each index of the last axis.
    """

    mnemonic: ClassVar[str] = "int.float_rescale"
    input: Value
    scales: tuple[float, ...]
    zero_point: int
    minimum: int
    maximum: int
    element: Element

    def problems(self) -> Iterator[str]:
        """Yield the broken rules."""
        shape = self.input.type.shape
        if not self.input.type.dtype.is_integer:
            yield f"the input must be integers, found {self.input.type.dtype}"
        if len(self.scales) != 1 and (not shape or len(self.scales) != shape[-1]):
            yield f"{len(self.scales)} scales for an input of shape {list(shape)}"
        yield from _scale_problems(*self.scales)
        yield from _range_problems(self.element.dtype, self.zero_point, self.minimum, self.maximum)

    def infer(self) -> tuple[TensorType, ...]:
        """Return the input's shape."""
        return (TensorType(self.input.type.shape, self.element),)


@dataclass(frozen=True)
class PairTable(Op):
    """``table[lhs - least, rhs - least]``: any function of two 8-bit codes; shapes broadcast as in numpy."""

    mnemonic: ClassVar[str] = "int.pair_table"
    lhs: Value
    rhs: Value
    table: Value
    element: Element

    def problems(self) -> Iterator[str]:
        """Yield the broken rules."""
        for value in (self.lhs, self.rhs):
            if value.type.dtype not in _CODES:
                yield f"operands must be i8 or u8, {value} is {value.type.dtype}"
        if self.table.type.shape != (256, 256) or self.table.type.dtype is not self.element.dtype:
            yield f"the table must hold 256 rows of 256 entries of {self.element.dtype}"
        yield from broadcast_problems(self.lhs, self.rhs)

    def infer(self) -> tuple[TensorType, ...]:
        """Return the common shape."""
        return (TensorType(result_shape(self.lhs, self.rhs), self.element),)


@dataclass(frozen=True)
class FloatSoftmax(Op):
    """Softmax along the last axis from a table of exponentials in single precision.

    With ``m`` the row's greatest code, ``e_i = table[255 - (m - x_i)]`` and ``S`` the sum of a row's ``e_i`` from
    first to last in single precision, the result is ``rint(e_i * one / S) + zero_point``, clamped to ``minimum`` and
    ``maximum``; product and quotient are in double precision, so that ``rint`` sees which side of a tie they are on.
    """

    mnemonic: ClassVar[str] = "int.float_softmax"
    input: Value
    table: Value
    one: float
    zero_point: int
    minimum: int
    maximum: int
    element: Element

    def problems(self) -> Iterator[str]:
        """Yield the broken rules."""
        if self.input.type.dtype not in _CODES:
            yield f"the input must be i8 or u8, found {self.input.type.dtype}"
        if self.input.type.rank < 1:
            yield "the input needs at least one axis"
        yield from _table_problems(self.table)
        yield from _scale_problems(self.one)
        yield from _range_problems(self.element.dtype, self.zero_point, self.minimum, self.maximum)

    def infer(self) -> tuple[TensorType, ...]:
        """Return the input's shape."""
        return (TensorType(self.input.type.shape, self.element),)


@dataclass(frozen=True)
class FloatAveragePool2D(Op):
    """Mean of each window in single precision, ``rint(mean / scale + zero_point)``, clamped.

    ``table`` has the real value of each code, the least first. A window adds them up row by row and divides by the
    number of its elements, those of the padding included if ``count_include_pad``.
    """

    mnemonic: ClassVar[str] = "int.float_average_pool2d"
    input: Value
    table: Value
    kernel: tuple[int, int]
    strides: tuple[int, int]
    padding: tuple[int, int, int, int]
    count_include_pad: bool
    scale: float
    zero_point: int
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
        if self.input.type.dtype not in _CODES:
            yield f"the input must be i8 or u8, found {self.input.type.dtype}"
        yield from _table_problems(self.table)
        yield from pool_problems(self.input, self.window)
        yield from _scale_problems(self.scale)
        yield from _range_problems(self.element.dtype, self.zero_point, self.minimum, self.maximum)

    def infer(self) -> tuple[TensorType, ...]:
        """Return the NHWC result."""
        return (TensorType(pool_shape(self.input, self.window), self.element),)


@dataclass(frozen=True, slots=True)
class FloatInterpolation:
    """For each row, or column, of the result: between which two of the input it lies, and how near to the second.

    Attributes:
        lower: Index of the first.
        upper: Index of the second.
        weight: Of the second, a number of single precision; that of the first is 1 less it.
    """

    lower: tuple[int, ...]
    upper: tuple[int, ...]
    weight: tuple[float, ...]

    def problems(self, name: str, extent: int) -> Iterator[str]:
        """Yield the ways in which this does not interpolate between ``extent`` rows or columns."""
        if not self.lower or not len(self.lower) == len(self.upper) == len(self.weight):
            yield f"{name} must have as many lower as upper indices and weights, at least one"
        if any(not 0 <= index < extent for index in (*self.lower, *self.upper)):
            yield f"{name} reach outside an extent of {extent}"
        if any(not abs(weight) <= 1.0 for weight in self.weight):
            yield f"weights of {name} must lie between -1 and 1"


@dataclass(frozen=True)
class FloatResizeBilinear(Op):
    """``floor(sum + 1/2)`` of four codes, each times the weight of its row, times that of its column.

    The sum begins with the lower row and column; then come the upper row, the upper column, and both.
    """

    mnemonic: ClassVar[str] = "int.float_resize_bilinear"
    input: Value
    rows: FloatInterpolation
    columns: FloatInterpolation

    def problems(self) -> Iterator[str]:
        """Yield the broken rules."""
        if self.input.type.dtype is not DType.U8 or self.input.type.rank != 4:
            yield "the input must be NHWC codes of u8"
            return
        _, height, width, _ = self.input.type.shape
        yield from self.rows.problems("rows", height)
        yield from self.columns.problems("columns", width)

    def infer(self) -> tuple[TensorType, ...]:
        """Return the NHWC result."""
        batch, _, _, channels = self.input.type.shape
        shape = (batch, len(self.rows.lower), len(self.columns.lower), channels)
        return (TensorType(shape, self.input.type.element),)


@dataclass(frozen=True)
class TableResizeBilinear(Op):
    """``rint(sum / scale)``, plus the zero point, of the real values of four codes, each times the weight of its place.

    ``table`` has the real value of each code, the least first. The weight of a place is the product of those of its
    row and of its column. The sum begins with the lower row, its lower column first; then comes the upper row.
    """

    mnemonic: ClassVar[str] = "int.table_resize_bilinear"
    input: Value
    table: Value
    rows: FloatInterpolation
    columns: FloatInterpolation
    scale: float
    zero_point: int
    minimum: int
    maximum: int
    element: Element

    def problems(self) -> Iterator[str]:
        """Yield the broken rules."""
        if self.input.type.dtype not in _CODES or self.input.type.rank != 4:
            yield "the input must be NHWC codes of i8 or u8"
            return
        _, height, width, _ = self.input.type.shape
        yield from self.rows.problems("rows", height)
        yield from self.columns.problems("columns", width)
        yield from _table_problems(self.table)
        yield from _scale_problems(self.scale)
        yield from _range_problems(self.element.dtype, self.zero_point, self.minimum, self.maximum)

    def infer(self) -> tuple[TensorType, ...]:
        """Return the NHWC result."""
        batch, _, _, channels = self.input.type.shape
        return (TensorType((batch, len(self.rows.lower), len(self.columns.lower), channels), self.element),)


@dataclass(frozen=True)
class FloatMean2D(Op):
    """``rint(mean / scale)``, plus the zero point, of all real values of a channel, in single precision.

    ``table`` has the real value of each code, the least first. They are added as by a vector unit of four lanes that
    loads from multiples of four, where the channels of an image lie one behind the other: what precedes the first
    multiple of four in a channel, and what is left of a vector at its end, comes last, one by one. The other vectors
    are added to two in turn, except for the last of an odd number of more than one, which is added to the sum of the
    two. Of the lanes, the third is added to the first, the fourth to the second, then both sums.
    """

    mnemonic: ClassVar[str] = "int.float_mean2d"
    input: Value
    table: Value
    scale: float
    zero_point: int
    minimum: int
    maximum: int
    element: Element

    def problems(self) -> Iterator[str]:
        """Yield the broken rules."""
        if self.input.type.dtype not in _CODES or self.input.type.rank != 4:
            yield "the input must be NHWC codes of i8 or u8"
        yield from _table_problems(self.table)
        yield from _scale_problems(self.scale)
        yield from _range_problems(self.element.dtype, self.zero_point, self.minimum, self.maximum)

    def infer(self) -> tuple[TensorType, ...]:
        """Return an image of one pixel."""
        batch, _, _, channels = self.input.type.shape
        return (TensorType((batch, 1, 1, channels), self.element),)


FLOAT32_OPS: tuple[type[Op], ...] = (
    FloatRescale,
    PairTable,
    FloatSoftmax,
    FloatAveragePool2D,
    FloatResizeBilinear,
    TableResizeBilinear,
    FloatMean2D,
)
"""What only a target with floating point runs."""


def _table_problems(table: Value) -> Iterator[str]:
    if table.type.dtype is not DType.F32 or table.type.shape != (256,):
        yield "the table must hold 256 entries of f32"


def _scale_problems(*scales: float) -> Iterator[str]:
    if any(not (math.isfinite(scale) and scale > 0) for scale in scales):
        yield "scales must be positive and finite"


def _range_problems(dtype: DType, zero_point: int, minimum: int, maximum: int) -> Iterator[str]:
    if not dtype.is_integer:
        yield f"the result is stored in integers, not {dtype}"
        return
    if not dtype.minimum <= minimum <= maximum <= dtype.maximum:
        yield f"the clamp [{minimum}, {maximum}] is not an interval of {dtype}"
    if not dtype.minimum <= zero_point <= dtype.maximum:
        yield f"zero point {zero_point} is no code of {dtype}"
