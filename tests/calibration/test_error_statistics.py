from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mrqc.calibration import (
    cosine_similarity,
    kl_divergences,
    mean_absolute_error,
    signal_to_noise_db,
    top_indices,
)

ROWS = arrays(np.float64, (3, 5), elements=st.floats(-50, 50))


def test_signal_to_noise_of_known_numbers() -> None:
    assert signal_to_noise_db(np.array([3.0, 4.0]), np.array([3.0, 3.5])) == pytest.approx(20.0)
    assert signal_to_noise_db(np.array([1.0]), np.array([1.0])) == math.inf
    assert signal_to_noise_db(np.array([0.0]), np.array([1.0])) == -math.inf


def test_statistics_take_integer_codes_without_wrapping() -> None:
    reference, approximation = np.array([-128, 127], np.int8), np.array([127, -128], np.int8)
    assert mean_absolute_error(reference, approximation) == 255
    assert signal_to_noise_db(reference, approximation) < 0


def test_cosine_similarity() -> None:
    first = np.array([[1.0, 0.0], [0.0, 2.0]])
    assert cosine_similarity(first, 3 * first) == pytest.approx(1.0)
    assert cosine_similarity(first, first[::-1]) == pytest.approx(0.0)
    assert cosine_similarity(first, 0 * first) == 0
    assert cosine_similarity(0 * first, 0 * first) == 1


def test_kl_of_known_distributions() -> None:
    p, q = np.array([[0.5, 0.25, 0.25]]), np.array([[0.25, 0.25, 0.5]])
    expected = 0.5 * math.log(2) + 0.25 * math.log(0.5)
    assert kl_divergences(np.log(p), np.log(q) + 17)[0] == pytest.approx(expected)


@given(ROWS, ROWS, st.floats(-1000, 1000))
def test_kl_is_finite_not_negative_and_blind_to_a_common_offset(
    first: np.ndarray, second: np.ndarray, offset: float
) -> None:
    divergence = kl_divergences(first, second)
    assert np.isfinite(divergence).all()
    assert (divergence >= 0).all()
    np.testing.assert_allclose(kl_divergences(first + offset, second), divergence, atol=1e-9)
    np.testing.assert_allclose(kl_divergences(first, first), 0, atol=1e-12)


@given(arrays(np.float64, (4, 7), elements=st.integers(0, 3)))
def test_ties_go_to_the_lowest_class(scores: np.ndarray) -> None:
    found = top_indices(scores, 5)
    assert found[:, 0].tolist() == scores.argmax(axis=1).tolist()
    for row, order in zip(scores, found, strict=True):
        assert order.tolist() == sorted(range(7), key=lambda index: (-row[index], index))[:5]


def test_fewer_classes_than_asked_for() -> None:
    assert top_indices(np.array([[1.0, 2.0]]), 5).tolist() == [[1, 0]]
