"""Functions of fixed-point numbers with 31 fractional bits, as gemmlowp's fixedpoint.h computes them.

All arrays hold 32-bit integers in 64-bit elements. ``Qm.n`` has m integer and n fractional bits besides the sign. A
product of two numbers drops 31 bits, rounded half up.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from mrqc.numerics.rounding import Rounding, divide_by_power_of_two

Fixed: TypeAlias = NDArray[np.int64]

GREATEST = (1 << 31) - 1
"""The 32-bit number that stands for 1 in Q0.31."""

_LEAST = -(1 << 31)
_EXPONENT_BITS = 26
"""Fractional bits of the argument of the exponential, Q5.26."""

_FACTORS = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)
"""exp(-2**k) in Q0.31 for k = -2 to 4."""


def multiply_q31(first: Fixed | int, second: Fixed | int) -> Fixed:
    """Return ``first * second / 2**31``, rounded half up."""
    return (np.asarray(first, np.int64) * second + (1 << 30)) >> 31


def shift_saturating(values: Fixed, bits: Fixed | int) -> Fixed:
    """Return ``values * 2**bits``, confined to 32 bits."""
    return np.clip(values << bits, _LEAST, GREATEST)


def shift_rounding(values: Fixed, bits: Fixed | int) -> Fixed:
    """Return ``values / 2**bits``, rounded half away from zero."""
    return divide_by_power_of_two(values, bits, Rounding.HALF_AWAY).astype(np.int64, copy=False)


def exponential_q31(values: Fixed) -> Fixed:
    """Return ``exp(values)`` in Q0.31 for ``values`` in Q5.26, none above 0.

    A Taylor polynomial around -1/8 for what is left modulo 1/4, times a constant for each bit above.
    """
    quarter = 1 << (_EXPONENT_BITS - 2)
    within_quarter = (values & (quarter - 1)) - quarter
    x = shift_saturating(within_quarter, 5) + (1 << 28)
    square = multiply_q31(x, x)
    fourth = shift_rounding(multiply_q31(square, square), 2)
    cube = multiply_q31(square, x)
    rest = shift_rounding(multiply_q31(fourth + cube, 715827883) + square, 1)
    constant = 1895147668
    result = constant + multiply_q31(x + rest, constant)
    remainder = within_quarter - values
    for power, factor in enumerate(_FACTORS):
        has_bit = remainder & (quarter << power) != 0
        result = np.where(has_bit, multiply_q31(result, factor), result)
    return np.where(values == 0, GREATEST, result)


def reciprocal_of_one_plus(values: Fixed) -> Fixed:
    """Return ``1 / (1 + values)`` in Q0.31, for ``values`` in Q0.31 from 0 to 1: three Newton steps."""
    half_denominator = (values + GREATEST + 1) >> 1
    x = 1515870810 + multiply_q31(half_denominator, -1010580540)
    for _ in range(3):
        error = (1 << 29) - multiply_q31(half_denominator, x)
        x = x + shift_saturating(multiply_q31(x, error), 2)
    return shift_saturating(x, 1)


def leading_bit(values: Fixed) -> Fixed:
    """Return the position of the highest bit that is set, for ``values`` from 1 to 2**32 - 1."""
    _, exponents = np.frexp(values.astype(np.float64))
    return exponents.astype(np.int64) - 1


def logarithm_q5(values: Fixed) -> Fixed:
    """Return ``log(values)`` in Q5.26 for ``values`` in Q12.19 from 1 up.

    The number is normalised in two ways, an octave and half an octave wide, of which one is near 2**-1/4; from there on
    a rational function.
    """
    root_of_half, fourth_root_of_half = 1518500250, 1805811301
    quarter = 1 << 23
    leading_zeros = 31 - leading_bit(values)
    first = shift_saturating(multiply_q31(shift_saturating(values, leading_zeros - 1), root_of_half), 1)
    first_power = np.minimum(shift_saturating(12 - leading_zeros, 25) + quarter, GREATEST)
    headroom = 30 - leading_bit(multiply_q31(values, root_of_half))
    second = shift_saturating(values, headroom)
    second_power = np.maximum(shift_saturating(12 - headroom, 25) - quarter, _LEAST)
    r = np.minimum(first, second)
    power = np.maximum(first_power, second_power)
    p = (r + fourth_root_of_half + 1) >> 1
    q = 2 * (r - fourth_root_of_half)
    square = multiply_q31(q, q)
    numerator = multiply_q31(q, r) + multiply_q31(multiply_q31(q, square), 117049297)
    denominator = multiply_q31(p, 1057819769 + q + multiply_q31(square, 127690142)) + multiply_q31(q, 638450708)
    fraction = multiply_q31(shift_rounding(numerator, 6), reciprocal_of_one_plus(denominator))
    return shift_saturating(multiply_q31(power, 1488522236) + fraction, 1)
