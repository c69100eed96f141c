"""Real multipliers as integers, against exact fractions."""

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrqc.numerics import FixedPoint, fixed_point_multiplier, power_of_two_exponent

REALS = st.floats(min_value=2.0**-60, max_value=2.0**60, allow_nan=False)
BITS = st.sampled_from((8, 15, 16, 24, 31))


@given(REALS, BITS)
def test_multiplier_is_normalised_and_nearest(real: float, bits: int) -> None:
    found = fixed_point_multiplier(real, bits)
    assert 1 << (bits - 1) <= found.multiplier < 1 << bits
    step = Fraction(2) ** -found.shift
    assert abs(found.multiplier * step - Fraction(real)) <= step / 2


@given(st.integers(-40, 40), BITS)
def test_powers_of_two_are_exact(exponent: int, bits: int) -> None:
    found = fixed_point_multiplier(2.0**exponent, bits)
    assert found == FixedPoint(1 << (bits - 1), bits - 1 - exponent)
    assert found.value == 2.0**exponent


@pytest.mark.parametrize("bits", [8, 16, 31])
@pytest.mark.parametrize("exponent", [-7, 0, 5])
def test_rounding_up_to_the_next_power_of_two_renormalises(bits: int, exponent: int) -> None:
    just_below = math.ldexp(1 - 2.0 ** -(bits + 2), exponent)
    assert fixed_point_multiplier(just_below, bits) == fixed_point_multiplier(2.0**exponent, bits)
    largest = math.ldexp((1 << bits) - 1, exponent - bits)
    assert fixed_point_multiplier(largest, bits) == FixedPoint((1 << bits) - 1, bits - exponent)


def test_tie_goes_up_as_in_tflite() -> None:
    assert fixed_point_multiplier((128 + 0.5) / 256, 8).multiplier == 129
    assert fixed_point_multiplier((129 + 0.5) / 256, 8).multiplier == 130


@pytest.mark.parametrize("real", [0.0, -1.0, math.inf, -math.inf, math.nan])
def test_only_positive_finite_numbers(real: float) -> None:
    with pytest.raises(ValueError, match="positive and finite"):
        fixed_point_multiplier(real, 31)


@given(st.integers(-300, 300))
def test_exponent_of_a_power_of_two(exponent: int) -> None:
    assert power_of_two_exponent(2.0**exponent) == exponent


@pytest.mark.parametrize("real", [3.0, 0.1, 0.0, -2.0, math.inf, math.nan, math.nextafter(0.25, 1)])
def test_no_exponent_elsewhere(real: float) -> None:
    assert power_of_two_exponent(real) is None


def test_tolerance_is_relative() -> None:
    assert power_of_two_exponent(0.25 * (1 + 1e-7), tolerance=1e-6) == -2
    assert power_of_two_exponent(0.25 * (1 + 1e-5), tolerance=1e-6) is None
