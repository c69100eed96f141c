"""Rounding as Python fractions have it."""

import math
from fractions import Fraction

from mrqc.numerics import Rounding


def rounded(exact: Fraction, rounding: Rounding) -> int:
    floor = math.floor(exact)
    if rounding is Rounding.FLOOR:
        return floor
    if rounding is Rounding.TO_ZERO:
        return math.trunc(exact)
    if exact - floor != Fraction(1, 2):
        return floor + (exact - floor > Fraction(1, 2))
    upper = {
        Rounding.HALF_UP: True,
        Rounding.HALF_EVEN: floor % 2 == 1,
        Rounding.HALF_AWAY: exact > 0,
    }
    return floor + upper[rounding]


def divided(product: int, shift: int, rounding: Rounding) -> int:
    """Return ``product / 2**shift``; two roundings are done one after the other."""
    if rounding is not Rounding.DOUBLE:
        return rounded(Fraction(product, 2**shift), rounding)
    once = rounded(Fraction(product, 2 ** min(shift, 31)), Rounding.HALF_UP)
    return rounded(Fraction(once, 2 ** max(shift - 31, 0)), Rounding.HALF_AWAY)
