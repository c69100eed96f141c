"""Closed-form rounding: what it sees of a layer, and that no single code can be better."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrqc.ir import FLOAT, TensorType, Value
from mrqc.numerics import Convolution
from mrqc.ops import nn
from mrqc.passes.requantize import second_moments
from mrqc.passes.requantize.closest_codes import descend
from mrqc.passes.requantize.least_squares import choices, solve
from mrqc.passes.requantize.places import Positions, patches, products
from mrqc.passes.requantize.second_moments import Problem, systems
from mrqc.targets import load_target


def error(codes: np.ndarray, wanted: np.ndarray, moments: np.ndarray) -> np.ndarray:
    difference = codes - wanted
    return np.einsum("rk,kj,rj->r", difference, moments, difference)


@given(seed=st.integers(0, 10_000), count=st.integers(1, 4), own_moments=st.booleans())
def test_no_change_of_one_code_is_better(seed: int, count: int, own_moments: bool) -> None:
    generator = np.random.default_rng(seed)
    seen = generator.normal(size=(20, count)) @ generator.normal(size=(count, count))
    moments = seen.T @ seen + 1e-3 * np.eye(count)
    wanted = generator.uniform(-4, 4, (3, count))
    start = np.clip(np.rint(wanted), -3, 3)
    used = np.broadcast_to(moments, (3, count, count)) if own_moments else moments
    found = descend(start, wanted @ moments, used, (-3, 3))
    assert np.array_equal(found, np.rint(found))
    assert np.all(np.abs(found) <= 3)
    least = error(found, wanted, moments)
    assert np.all(least <= error(start, wanted, moments) + 1e-9)
    for index, step in itertools.product(range(count), (-1, 1)):
        other = found.copy()
        other[:, index] = np.clip(other[:, index] + step, -3, 3)
        assert np.all(least <= error(other, wanted, moments) + 1e-9)


@pytest.mark.parametrize(("groups", "depth", "strides"), [(1, 3, (1, 2)), (3, 1, (2, 1))])
def test_patches_times_weights_are_the_convolution(groups: int, depth: int, strides: tuple[int, int]) -> None:
    generator = np.random.default_rng(1)
    weights = generator.integers(-5, 6, (6, 3, 2, depth)).astype(np.float64)
    images = generator.integers(-5, 6, (2, 7, 8, 3)).astype(np.float32)
    padding = (1, 0, 1, 1)
    op = nn.Conv2D(
        Value("x", TensorType((1, 7, 8, 3), FLOAT)),
        Value("w", TensorType(weights.shape, FLOAT)),
        strides=strides,
        padding=padding,
        groups=groups,
    )
    shape = (2, *op.infer()[0].shape[1:])
    places = Positions.spread(shape, 10**6)
    found = products(patches(op, images, places), weights.reshape(6, -1)).reshape(shape)
    convolution = Convolution(weights, op.window, (7, 8), groups, np.dtype(np.float64))
    expected = np.empty(shape)
    for where, sums in convolution.blocks(images.astype(np.float64)):
        expected[where] = sums
    assert np.array_equal(found, expected)


def test_codes_that_are_exact_are_left_alone() -> None:
    generator = np.random.default_rng(2)
    seen = generator.normal(size=(200, 1, 5)).astype(np.float32)
    weights = generator.integers(-9, 10, (4, 5)).astype(np.float64)
    weights[2] += 0.4
    problem = Problem(seen, products(seen, weights), None, weights, np.ones(4), 1e-3, (-127, 127))
    codes = solve(problem, np.array([2])).codes
    assert np.array_equal(codes[[0, 1, 3]], weights[[0, 1, 3]])
    nearest = products(seen, problem.nearest()[[2]])
    solved = products(seen, codes[[2]])
    wanted = products(seen, weights[[2]])
    assert np.var(solved - wanted) <= np.var(nearest - wanted) + 1e-6


def test_how_many_channels_are_solved_at_a_time_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(4)
    seen = generator.normal(size=(200, 1, 6)).astype(np.float32)
    weights = generator.normal(size=(9, 6)) * 20
    sums = products(seen, weights)
    active = np.where(np.abs(sums) < 40, 1.0, 0.01).astype(np.float32)
    problem = Problem(seen, sums, active, weights, np.ones(9), 1e-2, (-30, 30))
    together = solve(problem, np.arange(9), (1.0, 0.5), with_real=True)
    # Room for two channels of 6 by 6.
    monkeypatch.setattr(second_moments, "_MOMENTS", 72)
    apart = solve(problem, np.arange(9), (1.0, 0.5), with_real=True)
    assert not np.array_equal(together.codes, problem.nearest(together.factor))
    assert np.array_equal(apart.codes, together.codes)
    assert apart.factor == together.factor
    assert apart.real == pytest.approx(together.real)


@pytest.mark.parametrize("groups", [1, 3])
@pytest.mark.parametrize(("places", "shared"), [(100, False), (20, True)])
def test_channels_have_second_moments_of_their_own_where_enough_places_were_seen(
    places: int, shared: bool, groups: int
) -> None:
    generator = np.random.default_rng(5)
    seen = generator.normal(size=(places, groups, 4)).astype(np.float32)
    weights = generator.normal(size=(6, 4)) * 20
    sums = products(seen, weights)
    active = np.where(np.abs(sums) < 20, 1.0, 0.01).astype(np.float32)
    problem = Problem(seen, sums, active, weights, np.ones(6), 1e-2, (-30, 30))
    assert problem.shared is shared
    alike = replace(problem, active=None)
    for one, other in zip(systems(problem, np.arange(6)), systems(alike, np.arange(6)), strict=shared):
        assert (np.array_equal(one.moments, other.moments) and np.array_equal(one.mixed, other.mixed)) is shared


@given(
    seed=st.integers(0, 2**32 - 1),
    channels=st.integers(1, 7),
    clamped=st.booleans(),
    seen_at_a_time=st.integers(1, 900),
)
def test_channels_that_are_groups_have_the_second_moments_of_what_they_see(
    seed: int, channels: int, clamped: bool, seen_at_a_time: int
) -> None:
    generator = np.random.default_rng(seed)
    seen = generator.normal(size=(60, channels, 3)).astype(np.float32) + np.float32(0.5)
    weights = generator.normal(size=(channels, 3)) * 20
    sums = products(seen, weights) + np.float32(3)
    active = np.where(np.abs(sums) < 20, 1.0, 1e-3).astype(np.float32) if clamped else None
    problem = Problem(seen, sums, active, weights, np.ones(channels), 1e-2, (-30, 30))
    asked = np.flatnonzero(generator.integers(0, 2, channels))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(second_moments, "_SEEN", seen_at_a_time)
        found = list(systems(problem, asked))
    assert [channel for system in found for channel in system.channels] == asked.tolist()
    for system in found:
        for row, channel in enumerate(system.channels):
            share = np.ones(60) if active is None else active[:, channel].astype(np.float64)
            share = share / share.sum()
            rows = seen[:, channel] - share @ seen[:, channel].astype(np.float64)
            error = sums[:, channel] - share @ sums[:, channel]
            counts = np.ones(60) if active is None else active[:, channel].astype(np.float64)
            moments = (rows * counts[:, None]).T @ rows
            ridge = 1e-2 * np.diagonal(moments).mean()
            found_moments = np.broadcast_to(system.moments, (len(system.channels), 3, 3))[row]
            assert found_moments == pytest.approx(moments + ridge * np.eye(3), rel=1e-6, abs=1e-6)
            mixed = (counts * error) @ rows + ridge * weights[channel]
            assert system.mixed[row] == pytest.approx(mixed, rel=1e-6, abs=1e-4)


def test_weights_come_back_to_the_grid_that_most_of_them_are_on() -> None:
    generator = np.random.default_rng(6)
    seen = generator.normal(size=(200, 1, 6)).astype(np.float32)
    weights = generator.integers(-120, 121, (9, 6)).astype(np.float64)
    problem = Problem(seen, products(seen, weights), None, weights, np.full(9, 1.02), 1e-3, (-127, 127))
    channels, factors = choices(np.arange(9), 9, False, load_target("sym-npu"), 1 / 1.02)
    found = solve(problem, channels, factors)
    assert found.factor == 1 / 1.02
    assert np.array_equal(found.codes, weights)
    assert choices(np.arange(9), 9, False, load_target("sym-npu"))[1][0] == 1.0
    assert 1 / 1.02 not in choices(np.arange(9), 9, False, load_target("pow2-npu"), 1 / 1.02)[1]
    assert choices(np.arange(4), 9, False, load_target("sym-npu"), 1 / 1.02)[1] == (1.0,)


def test_long_channels_share_their_second_moments() -> None:
    places, count = 8 * 513, 513
    seen = np.zeros((places, 1, count), np.float32)
    active = np.zeros((places, 1), np.float32)
    problem = Problem(seen, active, active, np.zeros((1, count)), np.ones(1), 1e-2, (-1, 1))
    assert problem.shared
    assert not replace(problem, patches=seen[:, :, :-1], weights=np.zeros((1, count - 1))).shared
