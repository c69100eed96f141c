"""Real multipliers as integers: ``M ~ multiplier * 2**-shift``."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FixedPoint:
    """The real number ``multiplier / 2**shift``; a negative shift is a left shift."""

    multiplier: int
    shift: int

    @property
    def value(self) -> float:
        """The number it stands for."""
        return math.ldexp(self.multiplier, -self.shift)


def fixed_point_multiplier(real: float, bits: int) -> FixedPoint:
    """Return the nearest fixed-point number with a normalised ``bits``-bit multiplier.

    With ``real = f * 2**e``, f in [0.5, 1): multiplier = round(f * 2**bits), shift = bits - e
    (docs/numerics.md, equation 3). A multiplier that rounds up to ``2**bits`` is halved and the exponent
    raised.

    Args:
        real: A positive finite number.
        bits: Significant bits of the multiplier, without a sign: 31 gives ``2**30 <= multiplier < 2**31``.

    Raises:
        ValueError: ``real`` is not positive and finite.
    """
    if not (math.isfinite(real) and real > 0):
        raise ValueError(f"a multiplier must be positive and finite, got {real!r}")
    fraction, exponent = math.frexp(real)
    # Python rounds to even here; f * 2**31 is exact in a double, so a tie has an exact half and either rule
    # is within half a unit. Half up keeps the digit that TFLite's QuantizeMultiplier gives.
    multiplier = math.floor(math.ldexp(fraction, bits) + 0.5)
    if multiplier == 1 << bits:
        return FixedPoint(multiplier >> 1, bits - exponent - 1)
    return FixedPoint(multiplier, bits - exponent)


def power_of_two_exponent(real: float, tolerance: float = 0.0) -> int | None:
    """Return n with ``real == 2**n`` to within the relative ``tolerance``, or None."""
    if not (math.isfinite(real) and real > 0):
        return None
    exponent = round(math.log2(real))
    return exponent if abs(math.ldexp(real, -exponent) - 1.0) <= tolerance else None
