"""Matrix products through floating point that must not round, against Python integers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrqc.numerics import accumulation_dtype, exact_matmul


def python_matmul(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a.astype(object) @ b.astype(object)


def greatest_partial_sum(a: np.ndarray, b: np.ndarray) -> int:
    return int((np.abs(a.astype(object)) @ np.abs(b.astype(object))).max())


@pytest.mark.parametrize(
    ("bound", "dtype"),
    [
        (0, np.float32),
        ((1 << 24) - 1, np.float32),
        (1 << 24, np.float64),
        ((1 << 53) - 1, np.float64),
        (1 << 53, np.int64),
        ((1 << 63) - 1, np.int64),
    ],
)
def test_dtype_of_a_bound(bound: int, dtype: type) -> None:
    assert accumulation_dtype(bound) == dtype


def test_bound_beyond_64_bits_is_refused() -> None:
    with pytest.raises(AssertionError, match="64 bits"):
        accumulation_dtype(1 << 63)


@given(
    st.integers(1, 40),
    st.integers(1, 600),
    st.integers(1, 24),
    st.sampled_from((8, 12, 20, 31)),
    st.integers(0, 2**32),
)
def test_product_is_exact(rows: int, depth: int, columns: int, bits: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    a = random.integers(-(1 << (bits - 1)), 1 << (bits - 1), (rows, depth))
    b = random.integers(-(1 << (bits - 1)), 1 << (bits - 1), (depth, columns))
    bound = greatest_partial_sum(a, b)
    if bound >= 1 << 63:
        a, b = a >> 8, b >> 8
        bound = greatest_partial_sum(a, b)
    found = exact_matmul(a, b, bound)
    assert found.dtype == np.int64
    assert found.tolist() == python_matmul(a, b).tolist()


@pytest.mark.parametrize("limit", [1 << 24, 1 << 53])
@pytest.mark.parametrize("below", [1, 2, 3])
def test_sums_just_below_the_limit(limit: int, below: int) -> None:
    """Large odd sums, made of many products and reached with cancellation on the way."""
    target = limit - below
    depth = 513
    part = target // depth
    b = np.full((depth, 2), 1, np.int64)
    a = np.full((3, depth), part, np.int64)
    a[:, -1] = target - part * (depth - 1)
    a[1] = -a[1]
    assert greatest_partial_sum(a, b) == target
    assert exact_matmul(a, b, target).tolist() == [[target] * 2, [-target] * 2, [target] * 2]


@pytest.mark.parametrize(("limit", "narrow"), [(1 << 24, np.float32), (1 << 53, np.float64)])
def test_the_narrower_type_would_have_been_wrong(limit: int, narrow: type) -> None:
    """The limits are where they must be: one more than the limit is no number of the narrower type."""
    a = np.array([[limit, 1]], np.int64)
    b = np.array([[1], [1]], np.int64)
    assert int(a.astype(narrow).astype(np.int64)[0, 0]) == limit
    assert int((a.astype(narrow) @ b.astype(narrow))[0, 0]) != limit + 1
    assert exact_matmul(a, b, limit + 1).tolist() == [[limit + 1]]


def test_stacks_of_matrices() -> None:
    random = np.random.default_rng(3)
    a, b = random.integers(-128, 128, (4, 5, 6)), random.integers(-128, 128, (4, 6, 7))
    found = exact_matmul(a, b, 6 * 128 * 128)
    assert found.tolist() == [python_matmul(x, y).tolist() for x, y in zip(a, b, strict=True)]
