from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from mrqc.numerics import ExactSum

DOUBLES = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(st.tuples(DOUBLES, DOUBLES), min_size=1, max_size=12))
def test_sums_are_those_of_exact_arithmetic(terms: list[tuple[float, float]]) -> None:
    found = ExactSum.of(np.asarray(terms)).values()
    for row in (0, 1):
        column = [pair[row] for pair in terms]
        try:
            expected = math.fsum(column)
        except OverflowError:
            continue
        assert found[row] == expected


@given(st.lists(DOUBLES, min_size=2, max_size=12), st.data())
def test_order_and_grouping_have_no_influence(terms: list[float], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(terms))
    cut = data.draw(st.integers(1, len(terms) - 1))
    whole = ExactSum.of(np.asarray(terms)[:, np.newaxis])
    parts = [ExactSum.of(np.asarray(part)[:, np.newaxis]) for part in (shuffled[:cut], shuffled[cut:])]
    assert_array_equal((parts[0] + parts[1]).values(), whole.values())


def test_what_cancels_leaves_the_rest() -> None:
    terms = np.asarray([[1e300], [1.0], [-1e300], [5e-324], [-1.0]])
    assert ExactSum.of(terms).values().tolist() == [5e-324]


@pytest.mark.parametrize("strange", [math.inf, -math.inf, math.nan])
def test_what_is_not_finite_shows_in_its_row_alone(strange: float) -> None:
    found = (ExactSum.of(np.asarray([[1.0, strange]])) + ExactSum.of(np.asarray([[2.0, 3.0]]))).values()
    assert found[0] == 3.0
    assert math.isnan(found[1])


def test_a_sum_beyond_the_greatest_double_is_infinite() -> None:
    greatest = np.finfo(np.float64).max
    assert ExactSum.of(np.asarray([[greatest, -greatest]] * 2)).values().tolist() == [math.inf, -math.inf]
