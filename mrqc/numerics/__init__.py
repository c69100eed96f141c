"""Rounding and fixed-point arithmetic; knows numpy and nothing of mrqc."""

from mrqc.numerics.fixed_point import FixedPoint, fixed_point_multiplier, power_of_two_exponent
from mrqc.numerics.rounding import Rounding, divide_by_power_of_two, round_half_even

__all__ = [
    "FixedPoint",
    "Rounding",
    "divide_by_power_of_two",
    "fixed_point_multiplier",
    "power_of_two_exponent",
    "round_half_even",
]
