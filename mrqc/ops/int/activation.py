"""``int.clamp`` and ``int.softmax``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from mrqc.ir.dtype import DType
from mrqc.ir.op import Op, Value
from mrqc.ir.types import Element, TensorType
from mrqc.ops.int.contraction import activation_problems


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
