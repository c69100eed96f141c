"""Rounding, fixed-point arithmetic and exact sums over arrays; knows numpy and nothing of mrqc."""

from mrqc.numerics.convolution import Convolution
from mrqc.numerics.exact_matmul import accumulation_dtype, exact_matmul
from mrqc.numerics.exact_sum import LIMBS, ExactSum
from mrqc.numerics.fixed_point import FixedPoint, fixed_point_multiplier, power_of_two_exponent
from mrqc.numerics.float32 import clamped_codes, fused_multiply_add
from mrqc.numerics.rounding import (
    DOUBLE_ROUNDING_BITS,
    Rounding,
    divide_by_power_of_two,
    round_half_away,
    round_half_even,
)
from mrqc.numerics.transposed_convolution import TransposedConvolution
from mrqc.numerics.windows import im2col, window_counts, window_maxima, window_sums

__all__ = [
    "DOUBLE_ROUNDING_BITS",
    "LIMBS",
    "Convolution",
    "ExactSum",
    "FixedPoint",
    "Rounding",
    "TransposedConvolution",
    "accumulation_dtype",
    "clamped_codes",
    "divide_by_power_of_two",
    "exact_matmul",
    "fixed_point_multiplier",
    "fused_multiply_add",
    "im2col",
    "power_of_two_exponent",
    "round_half_away",
    "round_half_even",
    "window_counts",
    "window_maxima",
    "window_sums",
]
