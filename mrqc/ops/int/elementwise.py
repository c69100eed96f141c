"""``int.add``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from mrqc.ir.op import Op, Value
from mrqc.ir.types import Element, TensorType
from mrqc.ops.int.contraction import activation_problems
from mrqc.ops.int.requantize import Requantize

ADD_MULTIPLIER_LIMIT = 1 << 22
"""Two 8-bit codes times multipliers below this, added, stay within 2**31."""


@dataclass(frozen=True)
class Add(Op):
    """``requantize(lhs * lhs_multiplier + rhs * rhs_multiplier)``: both operands on one grid, rounded once.

    On a target that only shifts, the multipliers are powers of two.
    """

    mnemonic: ClassVar[str] = "int.add"
    lhs: Value
    rhs: Value
    lhs_multiplier: int
    rhs_multiplier: int
    requantize: Requantize
    element: Element

    def problems(self) -> Iterator[str]:
        """Yield the broken rules."""
        yield from activation_problems(self.lhs, self.rhs)
        if self.lhs.type.shape != self.rhs.type.shape:
            yield f"shapes {list(self.lhs.type.shape)} and {list(self.rhs.type.shape)} differ"
        for multiplier in (self.lhs_multiplier, self.rhs_multiplier):
            if not 1 <= multiplier < ADD_MULTIPLIER_LIMIT:
                yield f"multipliers of an addition lie between 1 and 2^22 - 1, found {multiplier}"
        yield from self.requantize.problems(self.element.dtype, 1)

    def infer(self) -> tuple[TensorType, ...]:
        """Return the common shape."""
        return (TensorType(self.lhs.type.shape, self.element),)
