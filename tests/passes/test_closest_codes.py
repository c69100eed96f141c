"""Codes close to a real solution: what the nearest plane guarantees, and that the better of two ways is taken."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mrqc.passes.requantize.closest_codes import closest, descend, losses, nearest_plane

WIDE = (-10_000, 10_000)


def correlated(generator: np.random.Generator, count: int, channels: int = 0) -> np.ndarray:
    """Second moments of inputs that resemble each other, for all channels or (if there are any) for each."""
    shape = (channels, 30, count) if channels else (30, count)
    seen = generator.normal(size=shape) + 3.0 * generator.normal(size=(*shape[:-1], 1))
    return np.swapaxes(seen, -1, -2) @ seen + 1e-3 * np.eye(count)


def error(codes: np.ndarray, wanted: np.ndarray, moments: np.ndarray) -> np.ndarray:
    used = np.broadcast_to(moments, (len(codes), *moments.shape[-2:]))
    return np.einsum("rk,rkj,rj->r", codes - wanted, used, codes - wanted)


def mixed_of(wanted: np.ndarray, moments: np.ndarray) -> np.ndarray:
    return np.einsum("rk,rkj->rj", wanted, np.broadcast_to(moments, (len(wanted), *moments.shape[-2:])))


@given(seed=st.integers(0, 10_000), count=st.integers(1, 6), own=st.booleans())
def test_the_nearest_plane_is_within_half_a_step_in_every_direction(seed: int, count: int, own: bool) -> None:
    # Babai 1986: |L^T (w - t)|^2 is at most a quarter of the sum of the squared diagonal of L.
    generator = np.random.default_rng(seed)
    moments = correlated(generator, count, 70 if own else 0)
    wanted = generator.uniform(-50, 50, (70, count))
    lower = np.linalg.cholesky(moments)
    found = nearest_plane(mixed_of(wanted, moments), lower, WIDE)
    assert np.array_equal(found, np.rint(found))
    bound = (np.diagonal(lower, axis1=-2, axis2=-1) ** 2).sum(axis=-1) / 4
    assert np.all(error(found, wanted, moments) <= bound * (1 + 1e-6) + 1e-6)


@given(seed=st.integers(0, 10_000), count=st.integers(1, 6), own=st.booleans())
def test_codes_that_are_the_solution_are_found(seed: int, count: int, own: bool) -> None:
    generator = np.random.default_rng(seed)
    moments = correlated(generator, count, 5 if own else 0)
    wanted = generator.integers(-7, 8, (5, count)).astype(np.float64)
    assert np.array_equal(nearest_plane(mixed_of(wanted, moments), np.linalg.cholesky(moments), (-7, 7)), wanted)


@given(seed=st.integers(0, 10_000), count=st.integers(1, 6), own=st.booleans())
def test_each_channel_keeps_the_better_of_both_ways(seed: int, count: int, own: bool) -> None:
    generator = np.random.default_rng(seed)
    moments = correlated(generator, count, 8 if own else 0)
    wanted = generator.uniform(-9, 9, (8, count))
    mixed, lower, limits = mixed_of(wanted, moments), np.linalg.cholesky(moments), (-8, 7)
    start = np.clip(np.rint(wanted), *limits)
    found = closest(start, mixed, moments, lower, limits)
    assert found.min() >= -8
    assert found.max() <= 7
    ways = [start, descend(start, mixed, moments, limits), nearest_plane(mixed, lower, limits)]
    assert np.all(error(found, wanted, moments) <= np.min([error(way, wanted, moments) for way in ways], axis=0) + 1e-9)
    constant = np.einsum("rk,rk->r", mixed, wanted)
    assert np.allclose(losses(found, mixed, moments) + constant, error(found, wanted, moments))


def test_descent_lets_the_first_code_take_what_another_should() -> None:
    # Inputs that resemble each other: what counts is the sum, and the first code to be looked at makes up for it.
    moments = np.full((3, 3), 0.9) + 0.1 * np.eye(3)
    wanted = np.array([[0.0, 0.45, 0.4]])
    mixed, lower, limits = wanted @ moments, np.linalg.cholesky(moments), (-3, 3)
    start = np.rint(wanted)
    stuck, found = descend(start, mixed, moments, limits), closest(start, mixed, moments, lower, limits)
    assert stuck.tolist() == [[1.0, 0.0, 0.0]]
    assert found.tolist() == [[0.0, 1.0, 0.0]]
    candidates = np.array(list(itertools.product(range(-3, 4), repeat=3)), np.float64)
    errors = error(candidates, np.broadcast_to(wanted, candidates.shape), moments)
    assert candidates[np.argmin(errors)].tolist() == found[0].tolist()
