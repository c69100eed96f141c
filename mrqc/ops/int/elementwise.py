"""``int.add`` and its kin: two operands, element by element, stretched over each other as numpy does it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

from mrqc.ir.dtype import DType
from mrqc.ir.op import Op, Value
from mrqc.ir.types import Element, TensorType
from mrqc.ops.broadcast import broadcast_problems, result_shape, slope_problems
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

    On a target that only shifts, the multipliers are powers of two. A negative one subtracts.
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
            if not 1 <= abs(multiplier) < ADD_MULTIPLIER_LIMIT:
                yield f"multipliers of an addition lie, but for their sign, between 1 and 2^22 - 1, found {multiplier}"
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


@dataclass(frozen=True)
class Mul(BinaryBase):
    """``requantize((lhs - lhs_zero_point) * (rhs - rhs_zero_point))``."""

    mnemonic: ClassVar[str] = "int.mul"
    lhs_zero_point: int
    rhs_zero_point: int
    requantize: Requantize
    element: Element

    def problems(self) -> Iterator[str]:
        """Yield the broken rules."""
        yield from super().problems()
        yield from zero_point_problems((self.lhs, self.lhs_zero_point), (self.rhs, self.rhs_zero_point))
        yield from self.requantize.problems(self.element.dtype, 1)

    def infer(self) -> tuple[TensorType, ...]:
        """Return the common shape."""
        return (TensorType(result_shape(self.lhs, self.rhs), self.element),)


@dataclass(frozen=True)
class ExtremumBase(BinaryBase):
    """One of two codes of the same meaning."""

    def problems(self) -> Iterator[str]:
        """Yield the broken rules."""
        yield from super().problems()
        if self.lhs.type.element != self.rhs.type.element:
            yield "both operands must have the same element"

    def infer(self) -> tuple[TensorType, ...]:
        """Return the common shape with the operands' element."""
        return (TensorType(result_shape(self.lhs, self.rhs), self.lhs.type.element),)


@dataclass(frozen=True)
class Maximum(ExtremumBase):
    """The greater of two codes."""

    mnemonic: ClassVar[str] = "int.maximum"


@dataclass(frozen=True)
class Minimum(ExtremumBase):
    """The lesser of two codes."""

    mnemonic: ClassVar[str] = "int.minimum"


@dataclass(frozen=True)
class Prelu(Op):
    """Distances from zero, those below it times a slope, on the grid of the result.

    With ``d = input - input_zero_point``: ``requantize(d * (slope - slope_zero_point))`` where d is negative, else the
    same with ``d * positive_multiplier / 2**positive_shift`` in place of the product, its multiplier and its shift.
    The slope is stretched over the input.
    """

    mnemonic: ClassVar[str] = "int.prelu"
    input: Value
    slope: Value
    input_zero_point: int
    slope_zero_point: int
    positive_multiplier: int
    positive_shift: int
    requantize: Requantize
    element: Element

    def problems(self) -> Iterator[str]:
        """Yield the broken rules."""
        yield from activation_problems(self.input, self.slope)
        yield from slope_problems(self.input, self.slope)
        yield from zero_point_problems((self.input, self.input_zero_point), (self.slope, self.slope_zero_point))
        yield from self.requantize.problems(self.element.dtype, 1)
        yield from self.positive.problems(self.element.dtype, 1)

    @property
    def positive(self) -> Requantize:
        """What distances above zero become."""
        return replace(self.requantize, multiplier=(self.positive_multiplier,), shift=(self.positive_shift,))

    def infer(self) -> tuple[TensorType, ...]:
        """Return the input's shape."""
        return (TensorType(self.input.type.shape, self.element),)


def zero_point_problems(*operands: tuple[Value, int]) -> Iterator[str]:
    """Yield a sentence for each zero point that is no code of its operand."""
    for value, zero_point in operands:
        dtype = value.type.dtype
        if dtype.is_integer and not dtype.minimum <= zero_point <= dtype.maximum:
            yield f"zero point {zero_point} is no code of {dtype}"
