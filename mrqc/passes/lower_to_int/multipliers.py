"""Real ratios of scales as the integers of a target; docs/numerics.md, equations 2 to 4."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mrqc.errors import RefusalError
from mrqc.ir.types import Element
from mrqc.numerics import FixedPoint, Rounding, fixed_point_multiplier, power_of_two_exponent
from mrqc.ops.int import BatchMatMul, Conv2D, FullyConnected, Requantize, TransposeConv2D
from mrqc.ops.int.elementwise import ADD_MULTIPLIER_LIMIT
from mrqc.ops.int.requantize import SHIFT_LIMIT
from mrqc.targets import OpSupport, Target

POWER_OF_TWO_TOLERANCE = 1e-9
"""Products of scales in double precision are this close to the power of two that they are meant to be."""


_CONTRACTIONS = tuple(op.mnemonic for op in (Conv2D, TransposeConv2D, FullyConnected, BatchMatMul))


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """How one statement may requantize: by shifts alone or by a multiplier, within which limits.

    Attributes:
        only_shifts: Whether multipliers must be powers of two.
        bits: Width of a fixed-point multiplier.
        shift: Least and greatest right shift.
        rounding: What happens to the bits that are shifted out.
        support: What the target says of the op, where it says anything.
        shift_key: The key of the target file that limits the shift.
    """

    only_shifts: bool
    bits: int
    shift: tuple[int, int]
    rounding: Rounding
    support: OpSupport | None = None
    shift_key: str = "requantize.shift"

    @classmethod
    def of(cls, target: Target, mnemonic: str) -> Arithmetic:
        """Return the arithmetic that ``mnemonic`` has on a target; on the host it is a 31-bit multiplier.

        Sums of products as wide as the target's accumulator are multiplied by as many bits as 64 leave.
        """
        scheme = target.requantize
        support = target.ops.get(mnemonic)
        if support is not None and support.on == "host":
            bits = min(31, 64 - target.accumulator.bits) if mnemonic in _CONTRACTIONS else 31
            return cls(False, bits, (0, SHIFT_LIMIT), Rounding.HALF_UP)
        bits = scheme.bits or 31
        if support is None or support.shift is None:
            return cls(scheme.only_shifts, bits, scheme.shift, scheme.rounding, support)
        return cls(scheme.only_shifts, bits, support.shift, scheme.rounding, support, f"ops.{mnemonic}.shift")

    def factor(self, real: float) -> FixedPoint:
        """Return ``real`` as a multiplier and a right shift.

        Raises:
            RefusalError: The ratio is no power of two where it must be one, or the shift is out of range.
        """
        exponent = power_of_two_exponent(real, POWER_OF_TWO_TOLERANCE)
        if exponent is not None:
            return self._in_range(real, FixedPoint(1, -exponent))
        if self.only_shifts:
            raise RefusalError(
                f"the multiplier {real:.6g} is no power of two, and the target only shifts (requantize.multiplier)",
                "run the pass 'requantize' first",
            )
        return self._in_range(real, fixed_point_multiplier(real, self.bits))

    def _in_range(self, real: float, factor: FixedPoint) -> FixedPoint:
        """Return the factor with its shift moved into the range of the target."""
        multiplier, shift = factor.multiplier, factor.shift
        low, high = max(self.shift[0], 0), self.shift[1]
        if shift > high and not self.only_shifts:
            # Far below one: low bits of the multiplier go, the shift stays at its limit.
            multiplier, shift = max(multiplier >> (shift - high), 1), high
        elif shift < low and not self.only_shifts and multiplier << (low - shift) < 1 << self.bits:
            multiplier, shift = multiplier << (low - shift), low
        if not low <= shift <= high:
            raise RefusalError(
                f"the multiplier {real:.6g} needs a right shift by {shift}, outside [{low}, {high}] ({self.shift_key})",
                "the scales of this layer's input, weights and output are too far apart",
            )
        return FixedPoint(multiplier, shift)


def requantization(
    ratios: Sequence[float], arithmetic: Arithmetic, element: Element, limits: tuple[int, int]
) -> Requantize:
    """Return the integer arithmetic for real multipliers, one or one for each output channel.

    Args:
        ratios: Accumulator scale over result scale.
        arithmetic: What the target has.
        element: The result, per-tensor.
        limits: The least and greatest code of the result.

    Raises:
        RefusalError: As :meth:`Arithmetic.factor`.
    """
    assert element.quantization is not None
    factors = [arithmetic.factor(ratio) for ratio in ratios]
    multipliers = tuple(factor.multiplier for factor in factors)
    shifts = tuple(factor.shift for factor in factors)
    return Requantize(
        multipliers[:1] if len(set(multipliers)) == 1 else multipliers,
        shifts[:1] if len(set(shifts)) == 1 else shifts,
        arithmetic.rounding,
        element.quantization.zero_point,
        *limits,
    )


def common_grid(first: float, second: float, arithmetic: Arithmetic) -> tuple[int, int, int]:
    """Return integer multipliers of two operands and the right shift after their sum.

    ``first ~ m1 / 2**shift`` and ``second ~ m2 / 2**shift``, both multipliers below 2**22, so that the sum of two
    8-bit products fits 32 bits.

    Raises:
        RefusalError: A ratio is no power of two where it must be one, or the ratios are too far apart.
    """
    if arithmetic.only_shifts:
        exponents = [power_of_two_exponent(ratio, POWER_OF_TWO_TOLERANCE) for ratio in (first, second)]
        if exponents[0] is None or exponents[1] is None:
            raise RefusalError(
                f"the operands' scales over the result's are {first:.6g} and {second:.6g}; the target needs powers of "
                "two (requantize.multiplier)",
                "run the pass 'requantize' first",
            )
        shift = max(0, -exponents[0], -exponents[1])
        multipliers = (1 << (exponents[0] + shift), 1 << (exponents[1] + shift))
    else:
        width = min(arithmetic.bits, (ADD_MULTIPLIER_LIMIT - 1).bit_length())
        shift = max(0, width - max(math.frexp(ratio)[1] for ratio in (first, second)))
        multipliers = tuple(max(1, round(math.ldexp(ratio, shift))) for ratio in (first, second))
        if max(multipliers) == 1 << width and shift > 0:
            shift -= 1
            multipliers = tuple(max(1, round(math.ldexp(ratio, shift))) for ratio in (first, second))
    low, high = arithmetic.shift
    support = arithmetic.support
    if support is not None and support.shift is not None:
        # The limit is of the shift from the coarser operand, which legalize has a look at.
        low, high = 0, SHIFT_LIMIT
    if max(multipliers) >= ADD_MULTIPLIER_LIMIT or not low <= shift <= high:
        raise RefusalError(
            f"the operands' scales over the result's are {first:.6g} and {second:.6g}, too far apart for an addition "
            f"with shifts in [{low}, {high}] (requantize.shift)"
        )
    return multipliers[0], multipliers[1], shift
