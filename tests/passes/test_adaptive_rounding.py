"""Learning whether weights are rounded up or down: the gradient, and what comes of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from networks import Network, u8, weights
from numpy.typing import NDArray

import mrqc
from mrqc.backends import interpreter
from mrqc.calibration import CalibrationSamples
from mrqc.ir import Module
from mrqc.passes.requantize import adaptive_rounding
from mrqc.passes.requantize.adaptive_rounding import (
    Reconstruction,
    Variables,
    adapted,
    inverse_rectified_sigmoid,
    learn,
    rectified_sigmoid,
    two_codes,
)
from mrqc.passes.requantize.least_squares import solve
from mrqc.passes.requantize.second_moments import Problem

LIMITS = (-127, 127)
WIDTH = 1e-6
"""Of a finite difference."""


def reconstruction(seed: int, groups: int, channels: int, depth: int, clamp: tuple[float, float]) -> Reconstruction:
    """A small one in double precision, in which every number is drawn."""
    draw = np.random.default_rng(seed).normal
    return Reconstruction(
        seen=draw(size=(groups, 7, depth)),
        wanted=np.clip(draw(size=(groups, 7, channels)), *clamp),
        weights=draw(size=(groups, channels, depth)),
        scales=np.exp(draw(size=(groups, channels, 1)) - 1),
        bias=draw(size=(groups, 1, channels)),
        noise=np.exp(draw(size=(groups, 1, channels))),
        ridge=np.exp(draw(size=(groups, channels, 1)) - 3),
        clamp=clamp,
    )


def is_smooth(error: Reconstruction, variables: Variables, floor: NDArray[Any]) -> bool:
    """Whether no sum is at a limit of the clamp and no h at 0, a half or 1."""
    h, _ = rectified_sigmoid(variables.v)
    sums = np.matmul(error.seen, ((floor + h) * error.scales).transpose(0, 2, 1))
    sums += error.bias + variables.bias * np.sqrt(error.noise)
    corners = [np.abs(sums - limit).min() for limit in error.clamp if np.isfinite(limit)]
    sigmoid = 1 / (1 + np.exp(-variables.v))
    corners += [np.abs(1.2 * sigmoid - 0.1 - corner).min() for corner in (0.0, 0.5, 1.0)]
    return min(corners) > 1e-3


CLAMPS = st.sampled_from([(-np.inf, np.inf), (0.0, np.inf), (-0.5, 0.8), (0.0, 1.5)])


@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 3),
    st.integers(1, 3),
    st.integers(1, 4),
    CLAMPS,
    st.sampled_from([0.0, 0.5, 3.0]),
    st.floats(2.0, 20.0),
)
@settings(max_examples=200, deadline=None)
def test_the_gradient_is_that_of_the_loss(
    seed: int, groups: int, channels: int, depth: int, clamp: tuple[float, float], strength: float, steepness: float
) -> None:
    error = reconstruction(seed, groups, channels, depth, clamp)
    generator = np.random.default_rng(seed + 1)
    v, bias = generator.normal(scale=2, size=error.weights.shape), generator.normal(size=error.bias.shape)
    floor = generator.integers(-2, 2, v.shape).astype(float)
    assume(is_smooth(error, Variables(v, bias), floor))
    found = error.gradient(Variables(v, bias), floor, slice(None), strength, steepness)
    for index in np.ndindex(v.shape):
        step = np.zeros_like(v)
        step[index] = WIDTH
        ends = [error.loss(Variables(v + sign * step, bias), floor, strength, steepness) for sign in (1, -1)]
        assert found.v[index] == pytest.approx((ends[0] - ends[1]) / (2 * WIDTH), rel=1e-4, abs=1e-5)
    for index in np.ndindex(bias.shape):
        step = np.zeros_like(bias)
        step[index] = WIDTH
        ends = [error.loss(Variables(v, bias + sign * step), floor, strength, steepness) for sign in (1, -1)]
        assert found.bias[index] == pytest.approx((ends[0] - ends[1]) / (2 * WIDTH), rel=1e-4, abs=1e-5)


@given(st.floats(0.02, 0.98))
def test_the_inverse_of_the_sigmoid(h: float) -> None:
    assert rectified_sigmoid(inverse_rectified_sigmoid(np.array([h])))[0] == pytest.approx(h)


@given(st.integers(0, 99), st.floats(0.3, 3.0))
def test_the_start_is_one_of_two_codes_on_the_side_of_the_real_solution(seed: int, spread: float) -> None:
    generator = np.random.default_rng(seed)
    codes = generator.integers(LIMITS[0], LIMITS[1], (1, 4, 5), endpoint=True).astype(np.float32)
    real = codes + generator.normal(scale=spread, size=codes.shape)
    floor, h = two_codes(codes, real, LIMITS)
    assert floor.min() >= LIMITS[0]
    assert floor.max() < LIMITS[1]
    assert ((codes == floor) | (codes == floor + 1)).all()
    free = (codes > LIMITS[0]) & (codes < LIMITS[1])
    assert ((real >= codes) == (codes == floor))[free].all()
    assert ((h > 0) & (h < 1)).all()


def problem(seed: int, groups: int, clamp: tuple[float, float]) -> tuple[Problem, NDArray[Any]]:
    """Correlated inputs behind a ReLU, and weights far from codes."""
    generator = np.random.default_rng(seed)
    depth, channels = 12, 6
    mixing = generator.normal(size=(groups, depth, depth))
    seen = np.maximum(np.einsum("pgk,gkj->pgj", generator.normal(size=(300, groups, depth)), mixing), 0)
    real = generator.normal(size=(channels, depth))
    per_group = real.reshape(groups, -1, depth)
    sums = np.einsum("pgk,gck->pgc", seen, per_group).reshape(300, channels)
    bias = -np.median(sums, axis=0)
    sums = (sums + bias).astype(np.float32)
    low, high = clamp
    active = np.where((sums > low - 0.1) & (sums < high + 0.1), 1.0, 1e-3).astype(np.float32)
    return Problem(seen.astype(np.float32), sums, active, real, np.full(channels, 0.4), 0.01, LIMITS), bias


@pytest.mark.parametrize("clamp", [(0.0, 6.0), (-np.inf, np.inf)])
@pytest.mark.parametrize("groups", [1, 3, 6])
@pytest.mark.parametrize("seed", range(2))
def test_never_worse_than_least_squares(seed: int, groups: int, clamp: tuple[float, float]) -> None:
    task, bias = problem(seed, groups, clamp)
    channels = np.array([0, 2, 3, 5])
    start = solve(task, channels, with_real=True)
    found = adapted(task, start, channels, bias, clamp)
    error = Reconstruction.of(task, task.scales, bias, clamp)
    before, after = (
        error.errors(solution.codes.astype(np.float32).reshape(groups, -1, 12)).reshape(-1)
        for solution in (start, found)
    )
    assert (after <= before).all()
    assert np.array_equal(found.codes[[1, 4]], start.codes[[1, 4]])
    assert np.array_equal(found.codes, np.rint(found.codes))
    assert np.abs(found.codes - start.codes).max() <= 1


def test_learning_finds_what_the_clamp_hides_from_least_squares() -> None:
    """From the nearest codes, over some problems, learning alone takes a good part of the error away."""
    before, after = 0.0, 0.0
    for seed in range(3):
        task, bias = problem(seed, 1, (0.0, 6.0))
        error = Reconstruction.of(task, task.scales, bias, (0.0, 6.0))
        nearest = task.nearest().astype(np.float32)[None]
        floor, h = two_codes(nearest, task.weights[None] / task.scales[None, :, None], LIMITS)
        before += error.errors(nearest).sum()
        after += error.errors(learn(error, floor, h.astype(np.float32))).sum()
    assert after < 0.7 * before


def network() -> Module:
    net = Network()
    x = net.input((1, 8, 8, 3), 0.02, 128)
    x = net.conv(x, weights((8, 3, 3, 3), 0) + 128, u8(0.013, 128), u8(0.11, 0), name="first")
    x = net.conv(x, weights((8, 3, 3, 1), 1) + 128, u8(0.017, 128), u8(0.23, 0), name="depthwise", groups=8)
    return net.finish(net.conv(x, weights((4, 1, 1, 8), 2) + 128, u8(0.011, 128), u8(0.3, 120), name="last"))


def rounded(module: Module, samples: CalibrationSamples, method: str) -> str:
    passes = f"symmetrize,assign-scales,fold-rounding-error,round-weights{{method={method}}},quantize-biases"
    return str(mrqc.requantize(module, "pow2-npu", samples, passes=passes))


def test_the_same_samples_give_the_same_codes_however_they_are_batched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adaptive_rounding, "STEPS", 100)
    module = network()
    array = np.random.default_rng(5).integers(0, 256, (12, 8, 8, 3)).astype(np.uint8)
    samples = CalibrationSamples.of(array, module)
    found: list[str] = []
    for slice_bytes in (2**24, 2**24, 1, 5000):
        monkeypatch.setattr(interpreter, "SLICE_BYTES", slice_bytes)
        found.append(rounded(module, samples, "adaptive"))
    assert len(set(found)) == 1
    assert found[0] != rounded(module, samples, "closed-form")


@given(st.integers(1, 5000))
def test_every_place_is_in_one_batch(places: int) -> None:
    parts = dict.fromkeys((part.start, part.stop) for part in adaptive_rounding.batches(places))
    assert np.array_equal(np.concatenate([np.arange(*part) for part in parts]), np.arange(places))
    sizes = [stop - start for start, stop in parts]
    assert max(sizes) <= 1.5 * adaptive_rounding.BATCH
