"""``int.clamp``, ``int.table``, ``int.softmax`` and ``int.reciprocal_softmax``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from mrqc.ir.dtype import DType
from mrqc.ir.op import Op, Value
from mrqc.ir.types import Element, TensorType
from mrqc.ops.int.contraction import ACTIVATION_DTYPES, activation_problems

RECIPROCAL_SOFTMAX_DEPTH = (1 << 13) - 1
"""Longest row of ``int.reciprocal_softmax``: so many ones, in Q12.19, add up to less than 2**32."""


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
        if self.input.type.dtype not in (DType.I8, DType.U8):
            yield f"the input must be i8 or u8, found {self.input.type.dtype}"
        if self.input.type.rank < 1:
            yield "the input needs at least one axis"
        elif self.input.type.shape[-1] > RECIPROCAL_SOFTMAX_DEPTH:
            yield f"a row may hold {RECIPROCAL_SOFTMAX_DEPTH} elements, found {self.input.type.shape[-1]}"
        if self.table.type.dtype is not DType.I32 or self.table.type.shape != (256,):
            yield "the table must hold 256 entries of i32"
        if self.element.dtype not in ACTIVATION_DTYPES:
            yield f"the result must be {', '.join(ACTIVATION_DTYPES)}, found {self.element.dtype}"

    def infer(self) -> tuple[TensorType, ...]:
        """Return the input's shape."""
        return (TensorType(self.input.type.shape, self.element),)
