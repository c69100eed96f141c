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


def shift_saturating(values: Fixed, bits: int) -> Fixed:
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
