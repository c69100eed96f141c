"""How integers are rounded when bits are shifted out: one enumeration, one vectorised function."""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Integers: TypeAlias = NDArray[np.integer[Any]]


DOUBLE_ROUNDING_BITS = 31
"""Bits that the first of two roundings shifts out: the high half of a doubled 64-bit product."""


class Rounding(StrEnum):
    """What happens to a value between two integers; docs/numerics.md has the table of who uses which."""

    HALF_UP = "half-up"
    """Nearest; ties towards plus infinity: ``(a + 2^(s-1)) >> s``."""
    HALF_EVEN = "half-even"
    """Nearest; ties to the even neighbour."""
    HALF_AWAY = "half-away"
    """Nearest; ties away from zero."""
    FLOOR = "floor"
    """Towards minus infinity: the bare arithmetic shift."""
    TO_ZERO = "to-zero"
    """Towards zero: the bits are cut off the magnitude."""
    DOUBLE = "double"
    """Twice, as gemmlowp's fixed-point product does: half up by 31 bits at most, what is left of the shift half away
    from zero."""


def divide_by_power_of_two(values: Integers, shift: Integers | int, rounding: Rounding) -> Integers:
    """Return ``values / 2**shift`` rounded to integers.

    Args:
        values: Signed integers of any shape. ``|value| + 2**shift`` must fit the dtype; nothing is widened
            here.
        shift: Non-negative, one number or an array that broadcasts against ``values``.
        rounding: The rule for what lies between two integers.

    Returns:
        An array of the dtype of ``values`` and the broadcast shape.
    """
    dtype = values.dtype
    amount = np.asarray(shift, dtype=dtype)
    one = dtype.type(1)
    # 2**(shift-1), and 0 where shift is 0: halving 2**shift gives both without a negative shift count.
    half = np.left_shift(one, amount) >> one
    if rounding is Rounding.FLOOR:
        return values >> amount
    if rounding is Rounding.HALF_UP:
        return (values + half) >> amount
    if rounding is Rounding.DOUBLE:
        first = np.minimum(amount, DOUBLE_ROUNDING_BITS)
        once = divide_by_power_of_two(values, first, Rounding.HALF_UP)
        return divide_by_power_of_two(once, amount - first, Rounding.HALF_AWAY)
    if rounding is Rounding.TO_ZERO:
        below_one = np.left_shift(one, amount) - one
        return np.where(values < 0, values + below_one, values) >> amount
    if rounding is Rounding.HALF_AWAY:
        # A negative tie goes down: one less is added, except where nothing is shifted out.
        return (values + half - ((values < 0) & (amount > 0)).astype(dtype)) >> amount
    # Half to even: a tie goes up only where the floor is odd.
    floor_is_odd = (values >> amount) & one
    return np.where(amount > 0, (values + half - one + floor_is_odd) >> amount, values)


def round_half_even(values: NDArray[np.floating[Any]]) -> NDArray[np.int64]:
    """Return real ``values`` rounded to the nearest integers, ties to even, as ONNX QuantizeLinear does."""
    return np.rint(values).astype(np.int64)


def round_half_away(real: float) -> float:
    """Return ``real`` rounded to the nearest integer, ties away from zero, as C's ``round`` does."""
    return math.copysign(math.floor(abs(real) + 0.5), real)
