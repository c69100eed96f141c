"""Shifts with rounding, against exact fractions."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrqc.numerics import Rounding, divide_by_power_of_two, round_half_even

WIDTHS = {np.int32: 31, np.int64: 63}


def nearest(exact: Fraction, rounding: Rounding) -> int:
    """Round a fraction by the words of the enumeration, without any shift."""
    floor = math.floor(exact)
    match rounding:
        case Rounding.FLOOR:
            return floor
        case Rounding.TO_ZERO:
            return math.trunc(exact)
    distance = exact - floor
    if distance != Fraction(1, 2):
        return floor if distance < Fraction(1, 2) else floor + 1
    match rounding:
        case Rounding.HALF_UP:
            return floor + 1
        case Rounding.HALF_AWAY:
            return floor + 1 if exact > 0 else floor
        case Rounding.HALF_EVEN:
            return floor if floor % 2 == 0 else floor + 1
    raise AssertionError(rounding)


def quotient(value: int, shift: int, rounding: Rounding) -> int:
    """Return ``value / 2**shift`` rounded; two roundings are done one after the other."""
    if rounding is not Rounding.DOUBLE:
        return nearest(Fraction(value, 1 << shift), rounding)
    first = min(shift, 31)
    once = nearest(Fraction(value, 1 << first), Rounding.HALF_UP)
    return nearest(Fraction(once, 1 << (shift - first)), Rounding.HALF_AWAY)


@st.composite
def divisions(draw: st.DrawFn) -> tuple[type, list[int], int]:
    """A dtype, values and a shift for which ``|value| + 2**shift`` fits, extremes and ties included."""
    dtype = draw(st.sampled_from(list(WIDTHS)))
    shift = draw(st.integers(0, WIDTHS[dtype] - 1))
    limit = (1 << WIDTHS[dtype]) - 1 - (1 << shift)
    half = (1 << shift) >> 1
    ties = st.integers(-(limit >> shift) - 1, limit >> shift).map(lambda whole: (whole << shift) + half)
    near_ties = st.tuples(ties, st.sampled_from((-1, 0, 1))).map(sum)
    values = st.one_of(
        st.integers(-limit, limit), st.sampled_from((-limit, 1 - limit, limit, -1, 0, 1)), ties, near_ties
    )
    fitting = values.filter(lambda value: -limit <= value <= limit)
    return dtype, draw(st.lists(fitting, min_size=1, max_size=20)), shift


@given(divisions(), st.sampled_from(Rounding))
def test_division_is_the_rounded_fraction(division: tuple[type, list[int], int], rounding: Rounding) -> None:
    dtype, values, shift = division
    found = divide_by_power_of_two(np.array(values, dtype), shift, rounding)
    assert found.dtype == dtype
    assert found.tolist() == [quotient(value, shift, rounding) for value in values]


@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize(("dtype", "width"), WIDTHS.items())
def test_extremes_of_every_shift(dtype: type, width: int, rounding: Rounding) -> None:
    for shift in range(width):
        limit = (1 << width) - 1 - (1 << shift)
        half = (1 << shift) >> 1
        candidates = {sign * (limit - less) for sign in (-1, 1) for less in (0, 1, half, half + 1)}
        candidates |= {sign * (half + more) for sign in (-1, 1) for more in (-1, 0, 1)}
        values = sorted(value for value in candidates if abs(value) <= limit)
        found = divide_by_power_of_two(np.array(values, dtype), shift, rounding)
        assert found.tolist() == [quotient(value, shift, rounding) for value in values], shift


@pytest.mark.parametrize("rounding", Rounding)
def test_largest_product_of_the_dialect_fits(rounding: Rounding) -> None:
    """A 32-bit accumulator times a 31-bit multiplier, shifted by 62: the extreme that the ops allow."""
    products = [sign * (1 << 31) * ((1 << 31) - 1) for sign in (-1, 1)]
    found = divide_by_power_of_two(np.array(products, np.int64), 62, rounding)
    assert found.tolist() == [nearest(Fraction(product, 1 << 62), rounding) for product in products]


@pytest.mark.parametrize("rounding", Rounding)
def test_every_small_value(rounding: Rounding) -> None:
    values = np.arange(-300, 301, dtype=np.int32)
    for shift in range(11):
        expected = [quotient(int(value), shift, rounding) for value in values]
        assert divide_by_power_of_two(values, shift, rounding).tolist() == expected


@pytest.mark.parametrize("rounding", Rounding)
def test_one_shift_for_each_channel(rounding: Rounding) -> None:
    values = np.random.default_rng(0).integers(-(1 << 20), 1 << 20, (7, 4)).astype(np.int64)
    shifts = np.array([0, 1, 7, 31])
    found = divide_by_power_of_two(values, shifts, rounding)
    expected = [
        [quotient(int(value), int(shift), rounding) for value, shift in zip(row, shifts, strict=True)] for row in values
    ]
    assert found.tolist() == expected


@pytest.mark.parametrize(
    ("rounding", "expected"),
    [
        (Rounding.HALF_UP, [-2, -1, 0, 1, 2, 3]),
        (Rounding.HALF_EVEN, [-2, -2, 0, 0, 2, 2]),
        (Rounding.HALF_AWAY, [-3, -2, -1, 1, 2, 3]),
        (Rounding.FLOOR, [-3, -2, -1, 0, 1, 2]),
        (Rounding.TO_ZERO, [-2, -1, 0, 0, 1, 2]),
        (Rounding.DOUBLE, [-2, -1, 0, 1, 2, 3]),
    ],
)
def test_ties_as_written_in_the_table(rounding: Rounding, expected: list[int]) -> None:
    halves = np.array([-5, -3, -1, 1, 3, 5], np.int32)
    assert divide_by_power_of_two(halves, 1, rounding).tolist() == expected


def test_two_roundings_differ_from_one_where_the_first_makes_a_tie() -> None:
    # 0.5 - 2^-33 rounds up to the tie 0.5 at the first step and away from zero at the second.
    just_below = np.array([(1 << 33) - 1, -(1 << 33) + 1, -(1 << 33) - 1], np.int64)
    assert divide_by_power_of_two(just_below, 34, Rounding.DOUBLE).tolist() == [1, -1, -1]
    assert divide_by_power_of_two(just_below, 34, Rounding.HALF_UP).tolist() == [0, 0, -1]


def test_operand_is_left_alone() -> None:
    values = np.arange(-8, 8, dtype=np.int32)
    before = values.copy()
    for rounding in Rounding:
        result = divide_by_power_of_two(values, 0, rounding)
        assert not np.shares_memory(result, values)
    assert np.array_equal(values, before)


@given(st.lists(st.fractions(-(10**6), 10**6, max_denominator=64), min_size=1))
def test_round_half_even_of_reals(exact: list[Fraction]) -> None:
    representable = [Fraction(math.floor(value * 64), 64) for value in exact]
    found = round_half_even(np.array([float(value) for value in representable]))
    assert found.tolist() == [nearest(value, Rounding.HALF_EVEN) for value in representable]
