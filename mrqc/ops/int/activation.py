"""``int.clamp``, ``int.table``, and the softmaxes by table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from mrqc.ir.dtype import DType
from mrqc.ir.op import Op, Value
from mrqc.ir.types import Element, TensorType
from mrqc.numerics import Rounding
from mrqc.ops.int.contraction import ACTIVATION_DTYPES, activation_problems
from mrqc.ops.int.requantize import MULTIPLIER_LIMIT, SHIFT_LIMIT

RECIPROCAL_SOFTMAX_DEPTH = (1 << 13) - 1
"""Longest row of ``int.reciprocal_softmax``: so many ones, in Q12.19, add up to less than 2**32."""

LOG_SOFTMAX_DEPTH = (1 << 12) - 1
"""Longest row of ``int.log_softmax``: so many ones, in Q12.19, add up to less than 2**31."""

INTERPOLATED_SOFTMAX_DEPTH = (1 << 16) - 1
"""Longest row of ``int.interpolated_softmax``: so many ones, in Q0.15, add up to less than 2**31."""


@dataclass(frozen=True)
class Clamp(Op):
    """``min(max(code, minimum), maximum)``; the scale stays."""

    mnemonic: ClassVar[str] = "int.clamp"
    input: Value
    minimum: int
    maximum: int

    def problems(self) -> Iterator[str]:
        """Yield the broken rules."""
        yield from activation_problems(self.input)
        dtype = self.input.type.dtype
        if dtype.is_integer and not dtype.minimum <= self.minimum <= self.maximum <= dtype.maximum:
            yield f"the clamp [{self.minimum}, {self.maximum}] is not an interval of {dtype}"

    def infer(self) -> tuple[TensorType, ...]:
        """Return the input's type."""
        return (self.input.type,)


@dataclass(frozen=True)
class Softmax(Op):
    """Softmax along the last axis by table and integer division.

    With ``m`` the row's greatest code and ``e_i = table[m - x_i]``, the result is
    ``clamp(floor((e_i * one + S // 2) / S) + zero_point)``, where ``S = sum(e_i)`` and ``one`` is the code distance
    that stands for probability 1. ``table[d]`` is ``2**k * exp(-scale * d)`` for d = 0..255; all intermediate
    results stay below 2**32.
    """

    mnemonic: ClassVar[str] = "int.softmax"
    input: Value
    table: Value
    one: int
    zero_point: int
    minimum: int
    maximum: int
    element: Element

    def problems(self) -> Iterator[str]:
        """Yield the broken rules."""
        if self.input.type.dtype not in (DType.I8, DType.U8):
            yield f"the input must be i8 or u8, found {self.input.type.dtype}"
        if self.table.type.dtype is not DType.I32 or self.table.type.shape != (256,):
            yield "the table must hold 256 entries of i32"
        dtype = self.element.dtype
        if dtype not in (DType.I8, DType.U8, DType.I16):
            yield f"the result must be i8, u8 or i16, found {dtype}"
        elif not dtype.minimum <= self.minimum <= self.maximum <= dtype.maximum:
            yield f"the clamp [{self.minimum}, {self.maximum}] is not an interval of {dtype}"
        if not 1 <= self.one <= 1 << 16:
            yield f"'one' must lie between 1 and 65536, found {self.one}"

    def infer(self) -> tuple[TensorType, ...]:
        """Return the input's shape."""
        return (TensorType(self.input.type.shape, self.element),)


@dataclass(frozen=True)
class Table(Op):
    """``table[code - least code]``: any function of one code."""

    mnemonic: ClassVar[str] = "int.table"
    input: Value
    table: Value
    element: Element

    def problems(self) -> Iterator[str]:
        """Yield the broken rules."""
        yield from activation_problems(self.input)
        codes = 1 << 8 * self.input.type.dtype.bytes
        if self.table.type.shape != (codes,) or self.table.type.dtype is not self.element.dtype:
            yield f"the table must hold {codes} entries of {self.element.dtype}"
        if self.element.dtype not in ACTIVATION_DTYPES:
            yield f"the result must be {', '.join(ACTIVATION_DTYPES)}, found {self.element.dtype}"

    def infer(self) -> tuple[TensorType, ...]:
        """Return the input's shape."""
        return (TensorType(self.input.type.shape, self.element),)


@dataclass(frozen=True)
class ReciprocalSoftmax(Op):
    """Softmax along the last axis by a table of exponentials and one fixed-point reciprocal for each row.

    With ``m`` the row's greatest code, ``e_i = table[m - x_i]`` in Q0.31 and ``S`` the sum of the ``e_i``, each rounded
    half up to Q12.19, the result is the least code plus ``e_i / S`` in units of one over the number of codes. ``1 / S``
    takes three Newton steps, each product rounded half up, as ``mrqc.numerics.q31`` has them; the last division by
    a power of two is rounded half away from zero. A row whose sum reaches 2**32 is not defined.
    """

    mnemonic: ClassVar[str] = "int.reciprocal_softmax"
    input: Value
    table: Value
    element: Element

    def problems(self) -> Iterator[str]:
        """Yield the broken rules."""
        yield from row_problems(self.input, (DType.I8, DType.U8), RECIPROCAL_SOFTMAX_DEPTH)
        if self.table.type.dtype is not DType.I32 or self.table.type.shape != (256,):
            yield "the table must hold 256 entries of i32"
        if self.element.dtype not in ACTIVATION_DTYPES:
            yield f"the result must be {', '.join(ACTIVATION_DTYPES)}, found {self.element.dtype}"

    def infer(self) -> tuple[TensorType, ...]:
        """Return the input's shape."""
        return (TensorType(self.input.type.shape, self.element),)


@dataclass(frozen=True)
class LogSoftmax(Op):
    """``x - log(sum(exp(x)))`` along the last axis in fixed point; the result is in sixteenths, its greatest code 0.

    With ``m`` the row's greatest code and ``d_i = m - x_i``: ``L`` is the logarithm, in Q5.26, of the sum of
    ``exponentials[d_i]``, each rounded from Q0.31 half up to Q12.19. The result is ``differences[d_i] - L``, rounded
    half away from zero to sixteenths. Where ``-d_i`` is not above both ``-radius - 1`` and ``(L - 2**31) * multiplier /
    2**shift``, it is the least code. ``mrqc.numerics.q31`` has the logarithm.
    """

    mnemonic: ClassVar[str] = "int.log_softmax"
    input: Value
    differences: Value
    exponentials: Value
    radius: int
    multiplier: int
    shift: int
    rounding: Rounding
    element: Element

    def problems(self) -> Iterator[str]:
        """Yield the broken rules."""
        yield from row_problems(self.input, (DType.I8, DType.U8), LOG_SOFTMAX_DEPTH)
        for table in (self.differences, self.exponentials):
            if table.type.dtype is not DType.I32 or table.type.shape != (256,):
                yield "the tables must hold 256 entries of i32"
        if not 0 <= self.multiplier < MULTIPLIER_LIMIT or not 0 <= self.shift <= SHIFT_LIMIT or self.radius < 0:
            yield "radius, multiplier or shift is out of range"
        if self.element.dtype not in (DType.I8, DType.U8):
            yield f"the result must be i8 or u8, found {self.element.dtype}"

    def infer(self) -> tuple[TensorType, ...]:
        """Return the input's shape."""
        return (TensorType(self.input.type.shape, self.element),)


@dataclass(frozen=True)
class InterpolatedSoftmax(Op):
    """Softmax of 16-bit codes along the last axis, exponential and reciprocal read between the entries of tables.

    With ``m`` the row's greatest code, ``e_i`` is read from ``exponentials`` at ``round((x_i - m) * multiplier /
    2**shift) + 32767``, and ``r`` from ``reciprocals`` at the fraction of the sum of the ``e_i``, normalised to
    between 1 and 2. The result is ``e_i * r``, rounded half up to Q0.15. A table of 513 entries is read at a 16-bit
    number by its upper nine bits; the lower seven lead on to the next entry, rounded half up.
    """

    mnemonic: ClassVar[str] = "int.interpolated_softmax"
    input: Value
    exponentials: Value
    reciprocals: Value
    multiplier: int
    shift: int
    rounding: Rounding
    element: Element

    def problems(self) -> Iterator[str]:
        """Yield the broken rules."""
        yield from row_problems(self.input, (DType.I16,), INTERPOLATED_SOFTMAX_DEPTH)
        for table in (self.exponentials, self.reciprocals):
            if table.type.dtype is not DType.I16 or table.type.shape != (513,):
                yield "the tables must hold 513 entries of i16"
        if not 0 <= self.multiplier < MULTIPLIER_LIMIT or not 0 <= self.shift <= SHIFT_LIMIT:
            yield "multiplier or shift is out of range"
        if self.element.dtype is not DType.I16:
            yield f"the result must be i16, found {self.element.dtype}"

    def infer(self) -> tuple[TensorType, ...]:
        """Return the input's shape."""
        return (TensorType(self.input.type.shape, self.element),)


def row_problems(input_: Value, dtypes: tuple[DType, ...], depth: int) -> Iterator[str]:
    """Yield a sentence where the operand of a softmax has codes not in ``dtypes``, or too many in a row."""
    if input_.type.dtype not in dtypes:
        yield f"the input must be {' or '.join(dtypes)}, found {input_.type.dtype}"
    if input_.type.rank < 1:
        yield "the input needs at least one axis"
    elif input_.type.shape[-1] > depth:
        yield f"a row may hold {depth} elements, found {input_.type.shape[-1]}"
