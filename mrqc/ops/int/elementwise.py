"""``int.add`` and its kin: two operands, element by element, stretched over each other as numpy does it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from mrqc.ir.dtype import DType
from mrqc.ir.op import Op, Value
from mrqc.ir.types import Element, TensorType
from mrqc.ops.broadcast import broadcast_problems, result_shape
from mrqc.ops.int.contraction import activation_problems
from mrqc.ops.int.requantize import MULTIPLIER_LIMIT, SHIFT_LIMIT, Requantize

ADD_MULTIPLIER_LIMIT = 1 << 22
"""Two 8-bit codes times multipliers below this, added, stay within 2**31."""

LEFT_SHIFT_LIMIT = 30


@dataclass(frozen=True)
class BinaryBase(Op):
    """Two activations of shapes that fit each other."""

    lhs: Value
    rhs: Value

    def problems(self) -> Iterator[str]:
        """Yield the broken rules."""
        yield from activation_problems(self.lhs, self.rhs)
        yield from broadcast_problems(self.lhs, self.rhs)


@dataclass(frozen=True)
class Add(BinaryBase):
    """``requantize(lhs * lhs_multiplier + rhs * rhs_multiplier)``: both operands on one grid, rounded once.

    On a target that only shifts, the multipliers are powers of two.
    """

    mnemonic: ClassVar[str] = "int.add"
    lhs_multiplier: int
    rhs_multiplier: int
    requantize: Requantize
    element: Element

    def problems(self) -> Iterator[str]:
        """Yield the broken rules."""
        yield from super().problems()
        for multiplier in (self.lhs_multiplier, self.rhs_multiplier):
            if not 1 <= multiplier < ADD_MULTIPLIER_LIMIT:
                yield f"multipliers of an addition lie between 1 and 2^22 - 1, found {multiplier}"
        yield from self.requantize.problems(self.element.dtype, 1)

    def infer(self) -> tuple[TensorType, ...]:
        """Return the common shape."""
        return (TensorType(result_shape(self.lhs, self.rhs), self.element),)


@dataclass(frozen=True, slots=True)
class OperandScaling:
    """``round(((code - zero_point) << left_shift) * multiplier / 2**shift)``: an operand on a common fine grid.

    Attributes:
        zero_point: Of the operand.
        left_shift: Between 0 and 30; the bits that are kept below the operand's own unit.
        multiplier: Between -2**31 and 2**31 - 1; negative where the operand is subtracted.
        shift: Between 0 and 62.
    """

    zero_point: int
    left_shift: int
    multiplier: int
    shift: int

    def problems(self, dtype: DType) -> Iterator[str]:
        """Yield a sentence for each rule that this breaks for codes of ``dtype``."""
        if dtype.is_integer and not dtype.minimum <= self.zero_point <= dtype.maximum:
            yield f"zero point {self.zero_point} is no code of {dtype}"
        if not 0 <= self.left_shift <= LEFT_SHIFT_LIMIT:
            yield f"left shifts must lie between 0 and {LEFT_SHIFT_LIMIT}"
        if not -MULTIPLIER_LIMIT <= self.multiplier < MULTIPLIER_LIMIT:
            yield "multipliers of an operand must lie between -2^31 and 2^31 - 1"
        if not 0 <= self.shift <= SHIFT_LIMIT:
            yield f"shifts must lie between 0 and {SHIFT_LIMIT}"

    def reach(self, low: int, high: int) -> int:
        """Return a magnitude that the rounded result stays within, for codes from ``low`` to ``high``."""
        return (self.product(low, high) >> self.shift) + 1

    def product(self, low: int, high: int) -> int:
        """Return the greatest magnitude of the product, for codes from ``low`` to ``high``."""
        distance = max(abs(low - self.zero_point), abs(high - self.zero_point))
        return (distance << self.left_shift) * abs(self.multiplier)


@dataclass(frozen=True)
class RescaledAdd(BinaryBase):
    """``requantize(scaled(lhs) + scaled(rhs))``: each operand is rounded onto a fine grid, and their sum once more.

    All three are rounded in the way that ``requantize`` names.
    """

    mnemonic: ClassVar[str] = "int.rescaled_add"
    lhs_scaling: OperandScaling
    rhs_scaling: OperandScaling
    requantize: Requantize
    element: Element

    def problems(self) -> Iterator[str]:
        """Yield the broken rules."""
        yield from super().problems()
        yield from self.lhs_scaling.problems(self.lhs.type.dtype)
        yield from self.rhs_scaling.problems(self.rhs.type.dtype)
        yield from self.requantize.problems(self.element.dtype, 1)

    def infer(self) -> tuple[TensorType, ...]:
        """Return the common shape."""
        return (TensorType(result_shape(self.lhs, self.rhs), self.element),)
