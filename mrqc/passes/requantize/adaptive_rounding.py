"""Adaptive rounding: whether each weight is rounded up or down, learned from what a layer results in.

Nagel et al. 2020 (AdaRound, arXiv 2004.10568) let each code be ``floor + h(v)`` with h a rectified sigmoid, and learn v
by gradients; a regularisation that grows steeper drives each h to 0 or 1. Here the two codes of a weight are the one
that least squares chose and its neighbour on the side of the real solution; biases are free on the way, since
``correct-biases`` chooses them anew; and the error is seen behind the layer's clamp (docs/requantization.md equation
16):

    L = sum over channels c of [ mean over places of (clip(w x + b) - clip(y))^2 + ridge_c |w - W|^2 ] / N_c
        + strength / K * sum over weights of (1 - |2 h - 1|^steepness)

N_c is what rounding to the nearest codes would cost without a clamp, so that one strength serves every layer. All
gradients are written out below.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mrqc.passes.requantize.form import Real
from mrqc.passes.requantize.least_squares import Solution
from mrqc.passes.requantize.second_moments import Problem

Reals: TypeAlias = NDArray[Any]
"""Real numbers, in single precision but for tests."""

STEPS = 1000
"""Gradient steps for each layer."""
BATCH = 512
"""Places that one step looks at."""
RATE = 0.05
"""Length of a step in v, which goes from -2.4 to 2.4 as h goes from 0 to 1."""
STRENGTH = 3.0
"""Of the regularisation."""
WARM_UP = 0.2
"""Share of the steps without regularisation."""
STEEPEST, FLATTEST = 20.0, 2.0
"""Exponents of the regularisation, at its beginning and at its end: at first only what is nearly decided is pushed."""
_FROM, _TO = -0.1, 1.1
"""What the sigmoid is stretched to, then cut to between 0 and 1: the ends are reached by finite v."""
_UNDECIDED = 0.02
"""How far from 0 and 1 each h begins: at the ends themselves there is no gradient."""
_FIRST, _SECOND, _TINY = 0.9, 0.999, 1e-8
"""Adam's decay of the mean gradient and of its square, and what keeps a division from zero (arXiv 1412.6980)."""
_BIAS_STEPS = 6


@dataclass(frozen=True)
class Variables:
    """What is learned.

    Attributes:
        v: Of each weight, ``[groups, channels, K]``.
        bias: Of each channel, ``[groups, 1, channels]``, in units of ``sqrt(N_c)``.
    """

    v: Reals
    bias: Reals


@dataclass(frozen=True)
class Reconstruction:
    """The error of a layer, as a function of its codes.

    Attributes:
        seen: What the weights meet, ``[groups, places, K]``, places in any order.
        wanted: What should leave the clamp, ``[groups, places, channels]``.
        weights: Real weights, towards which the solution is drawn, ``[groups, channels, K]``.
        scales: Of the codes, ``[groups, channels, 1]``.
        bias: Real biases that go with the real weights, ``[groups, 1, channels]``.
        noise: N_c, ``[groups, 1, channels]``.
        ridge: How strongly it is drawn, over N_c, ``[groups, channels, 1]``.
        clamp: The real interval of the results.
    """

    seen: Reals
    wanted: Reals
    weights: Reals
    scales: Reals
    bias: Reals
    noise: Reals
    ridge: Reals
    clamp: tuple[float, float]

    @classmethod
    def of(cls, problem: Problem, scales: Real, bias: Real, clamp: tuple[float, float]) -> Reconstruction:
        """Return the error of a layer's codes.

        Args:
            problem: What is wanted.
            scales: Of the codes, for each channel.
            bias: The real bias of each channel.
            clamp: The real interval of the results.
        """
        groups = problem.patches.shape[1]
        # Neighbours in this order make a batch.
        order = np.random.default_rng(0).permutation(len(problem.patches))
        seen = np.ascontiguousarray(problem.patches.transpose(1, 0, 2)[:, order])
        weights = _grouped(problem.weights, groups)
        steps = scales.astype(np.float32).reshape(groups, -1, 1)
        wanted = problem.sums.reshape(len(problem.sums), groups, -1).transpose(1, 0, 2)[:, order]
        # Means cost nothing: the bias takes them.
        squares = np.einsum("gpk,gpk->gk", seen, seen) / np.float32(seen.shape[1])
        variances = np.maximum(squares - seen.mean(axis=1) ** 2, 0)
        noise = steps**2 / 12 * variances.sum(axis=1)[:, None, None]
        noise = np.maximum(noise, np.float32(1e-30))
        ridge = problem.ridge * variances.mean(axis=1)[:, None, None] / noise
        return cls(
            seen,
            np.clip(wanted, *clamp).astype(np.float32),
            weights,
            steps,
            bias.astype(np.float32).reshape(groups, 1, -1),
            noise.transpose(0, 2, 1),
            ridge.astype(np.float32),
            clamp,
        )

    def errors(self, codes: Reals) -> Reals:
        """Return the error of each channel at codes ``[groups, channels, K]``, with the best bias that is found."""
        low, high = self.clamp
        weights = codes * self.scales
        sums = np.matmul(self.seen, weights.transpose(0, 2, 1)) + self.bias
        drawn = (self.ridge * (weights - self.weights) ** 2).sum(axis=2)
        shift, best = np.zeros_like(self.bias), np.full(drawn.shape, np.inf)
        for _ in range(_BIAS_STEPS):
            moved = sums + shift
            error = np.clip(moved, low, high) - self.wanted
            best = np.minimum(best, (error**2).mean(axis=1, dtype=np.float64) / self.noise[:, 0])
            inside = (moved > low) & (moved < high)
            # Gauss and Newton, where anything is inside.
            count = inside.sum(axis=1, keepdims=True)
            shift = shift - (error * inside).sum(axis=1, keepdims=True) / np.maximum(count, 1)
        return best + drawn

    def gradient(self, variables: Variables, floor: Reals, rows: slice, strength: float, steepness: float) -> Variables:
        """Return the derivatives of L, at some of the places, with respect to the variables.

        Args:
            variables: Where.
            floor: The lower of the two codes of each weight.
            rows: The places.
            strength: Of the regularisation.
            steepness: Its exponent.
        """
        seen, root = self.seen[:, rows], np.sqrt(self.noise)
        h, slope = rectified_sigmoid(variables.v)
        weights = (floor + h) * self.scales
        sums = np.matmul(seen, weights.transpose(0, 2, 1))
        sums += self.bias + variables.bias * root
        low, high = self.clamp
        # dL/dsums: a sum that the clamp hides has no influence.
        error = np.clip(sums, low, high) - self.wanted[:, rows]
        error *= (sums > low) & (sums < high)
        error *= 2 / seen.shape[1] / self.noise
        by_weight = np.matmul(error.transpose(0, 2, 1), seen)
        by_weight += 2 * self.ridge * (weights - self.weights)
        by_h = by_weight * self.scales
        if strength:
            by_h += strength / h.shape[2] * by_undecided(h, steepness)
        return Variables(by_h * slope, error.sum(axis=1, keepdims=True) * root)

    def loss(self, variables: Variables, floor: Reals, strength: float, steepness: float) -> float:
        """Return L over all places: what :meth:`gradient` differentiates."""
        h, _ = rectified_sigmoid(variables.v)
        weights = (floor + h) * self.scales
        sums = np.matmul(self.seen, weights.transpose(0, 2, 1)) + self.bias + variables.bias * np.sqrt(self.noise)
        error = ((np.clip(sums, *self.clamp) - self.wanted) ** 2).mean(axis=1, keepdims=True) / self.noise
        drawn = self.ridge * (weights - self.weights) ** 2
        undecided = 1 - np.abs(2 * h - 1) ** steepness
        return float(error.sum() + drawn.sum() + strength / h.shape[2] * undecided.sum())


def rectified_sigmoid(v: Reals) -> tuple[Reals, Reals]:
    """Return ``h = clip(1.2 sigmoid(v) - 0.1, 0, 1)`` and its derivative."""
    sigmoid = 1 / (1 + np.exp(-v))
    stretched = sigmoid * (_TO - _FROM) + _FROM
    inside = (stretched > 0) & (stretched < 1)
    return np.clip(stretched, 0, 1), (_TO - _FROM) * sigmoid * (1 - sigmoid) * inside


def inverse_rectified_sigmoid(h: Reals) -> Reals:
    """Return v for each h between 0 and 1."""
    sigmoid = (h - _FROM) / (_TO - _FROM)
    return np.log(sigmoid / (1 - sigmoid))


def by_undecided(h: Reals, steepness: float) -> Reals:
    """Return the derivative of ``1 - |2 h - 1|^steepness``."""
    distance = 2 * h - 1
    return -2 * steepness * np.sign(distance) * np.abs(distance) ** (steepness - 1)


def regularisation(progress: float) -> tuple[float, float]:
    """Return its strength and its steepness when so much of the learning is done, 0 to 1."""
    annealed = (progress - WARM_UP) / (1 - WARM_UP)
    steepness = FLATTEST + 0.5 * (STEEPEST - FLATTEST) * (1 + np.cos(np.pi * max(annealed, 0.0)))
    return STRENGTH if annealed >= 0 else 0.0, float(steepness)


def adapted(
    problem: Problem, solution: Solution, channels: NDArray[np.int64], bias: Real, clamp: tuple[float, float]
) -> Solution:
    """Return a solution whose codes have no greater error in ``channels``, and are the same in the others.

    Args:
        problem: What is wanted.
        solution: Of least squares.
        channels: Whose codes may change.
        bias: The real bias of each channel.
        clamp: The real interval of the layer's results.
    """
    part, rows = _part(problem, channels)
    scales = part.scales * solution.factor
    reconstruction = Reconstruction.of(part, scales, bias[rows], clamp)
    groups = part.patches.shape[1]
    start = _grouped(solution.codes[rows], groups)
    floor, h = two_codes(start, _grouped(solution.real[rows] / scales[:, None], groups), problem.limits)
    found = learn(reconstruction, floor, h)
    better = (reconstruction.errors(found) < reconstruction.errors(start)).reshape(-1) & np.isin(rows, channels)
    codes = solution.codes.copy()
    codes[rows[better]] = found.reshape(len(rows), -1)[better]
    return replace(solution, codes=codes)


def _part(problem: Problem, channels: NDArray[np.int64]) -> tuple[Problem, NDArray[np.int64]]:
    """Return what concerns some channels, whole groups where there are several, and which channels these are."""
    per_group = len(problem.weights) // problem.patches.shape[1]
    groups = np.unique(channels // per_group)
    everything = np.arange(len(problem.weights))
    rows = channels if problem.patches.shape[1] == 1 else everything[np.isin(everything // per_group, groups)]
    part = replace(
        problem,
        patches=problem.patches[:, groups],
        sums=problem.sums[:, rows],
        active=None,
        weights=problem.weights[rows],
        scales=problem.scales[rows],
    )
    return part, rows


def two_codes(codes: Reals, real: Reals, limits: tuple[int, int]) -> tuple[Reals, Reals]:
    """Return the lower of two neighbouring codes, of which ``codes`` is one, and how far above it to begin, 0 to 1.

    Args:
        codes: One of the two.
        real: The real solution, on whose side the other one is, in codes.
        limits: The least and greatest code.
    """
    floor = np.clip(np.where(real < codes, codes - 1, codes), limits[0], limits[1] - 1).astype(codes.dtype)
    return floor, np.clip(real - floor, _UNDECIDED, 1 - _UNDECIDED)


def learn(reconstruction: Reconstruction, floor: Reals, h: Reals) -> Reals:
    """Return codes, each ``floor`` or one more, learned from where ``h`` is; always the same ones."""
    variables = Variables(inverse_rectified_sigmoid(h), np.zeros_like(reconstruction.bias))
    optimizers = Adam(variables.v, RATE), Adam(variables.bias, RATE)
    for step, rows in enumerate(batches(reconstruction.seen.shape[1])):
        gradient = reconstruction.gradient(variables, floor, rows, *regularisation(step / STEPS))
        optimizers[0].move(variables.v, gradient.v)
        optimizers[1].move(variables.bias, gradient.bias)
    return floor + (rectified_sigmoid(variables.v)[0] >= 0.5)


def batches(places: int) -> Iterator[slice]:
    """Yield places for each step, all in turn."""
    ends = np.linspace(0, places, max(round(places / BATCH), 1) + 1).astype(int).tolist()
    parts = [slice(*pair) for pair in itertools.pairwise(ends)]
    return itertools.islice(itertools.cycle(parts), STEPS)


class Adam:
    """The moments of one variable's gradient, and steps against it (arXiv 1412.6980)."""

    def __init__(self, variable: Reals, rate: float) -> None:
        """Take a variable, and the greatest length of a step, nearly."""
        self._mean, self._square = np.zeros_like(variable), np.zeros_like(variable)
        self._rate = rate
        self._steps = 0

    def move(self, variable: Reals, gradient: Reals, share: float = 1.0) -> None:
        """Change a variable in place, by a share of the step."""
        self._steps += 1
        self._mean += (1 - _FIRST) * (gradient - self._mean)
        self._square += (1 - _SECOND) * (gradient * gradient - self._square)
        rate = share * self._rate * np.sqrt(1 - _SECOND**self._steps) / (1 - _FIRST**self._steps)
        variable -= (float(rate) * self._mean) / (np.sqrt(self._square) + _TINY)


def _grouped(rows: Real, groups: int) -> Reals:
    """Return rows of channels ``[O, K]`` by groups, in single precision."""
    return rows.astype(np.float32).reshape(groups, -1, rows.shape[1])
