"""Integer least squares: codes of a layer's weights with the least error of its results, not of the weights.

For each output channel the codes w minimise ``(w - t)^T H (w - t)`` within their range, H being the second moments of
what the channel sees and t the real solution (Frantar and Alistarh, OBQ, arXiv 2208.11580, solve it weight by weight;
here by coordinate descent from the nearest codes, all channels at once; docs/requantization.md equation 10).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrqc.ops import nn
from mrqc.passes.requantize.form import Layer, Real

Single = NDArray[np.float32]

SWEEPS = 6
"""Passes over all weights; the first two do nearly everything."""
_SETTLED = 1e-3
"""Share of changed codes below which another pass would change nothing that can be seen."""
_BLOCK = 32
"""Weights that are changed one after the other before the rest is told."""
_CHANNELS = 64
"""Output channels with second moments of their own that are solved at a time, if these fit in ``_MOMENTS``."""
_MOMENTS = 1 << 27
"""Numbers in the second moments that are held at a time: a gibibyte in double precision."""


@dataclass(frozen=True)
class Positions:
    """Places in the result of a layer: sample, row and column; a fully connected layer has one place a sample."""

    sample: NDArray[np.int64]
    row: NDArray[np.int64]
    column: NDArray[np.int64]

    @classmethod
    def spread(cls, shape: tuple[int, ...], wanted: int) -> Positions:
        """Return ``wanted`` places at most of a result ``[samples, …, channels]``, as if at random, always the same."""
        height, width = shape[1:3] if len(shape) == 4 else (1, 1)
        total = math.prod(shape[:-1])
        chosen = np.sort(np.random.default_rng(0).permutation(total)[:wanted]) if total > wanted else np.arange(total)
        sample, place = np.divmod(chosen, height * width)
        return cls(sample, *np.divmod(place, width))


def patches(op: Layer, reals: Single, places: Positions) -> Single:
    """Return what the weights of a layer meet at each place: ``[places, groups, weights of a channel]``.

    Args:
        op: A convolution that is not transposed, or a fully connected layer.
        reals: Its real input, all samples.
        places: In its result.
    """
    if isinstance(op, nn.FullyConnected):
        return reals[places.sample][:, None, :]
    _, kernel_height, kernel_width, depth = op.weight.type.shape
    top, left = op.padding[:2]
    height, width = reals.shape[1:3]
    found = np.zeros((len(places.sample), kernel_height, kernel_width, reals.shape[3]), np.float32)
    for down in range(kernel_height):
        for across in range(kernel_width):
            row = places.row * op.strides[0] + down * op.dilations[0] - top
            column = places.column * op.strides[1] + across * op.dilations[1] - left
            inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
            found[inside, down, across] = reals[places.sample[inside], row[inside], column[inside]]
    grouped = found.reshape(len(found), kernel_height * kernel_width, op.groups, depth)
    return np.ascontiguousarray(grouped.transpose(0, 2, 1, 3)).reshape(len(found), op.groups, -1)


def products(patches_: Single, weights: Real) -> Single:
    """Return the sums of weights ``[O, K]`` times patches ``[places, groups, K]``: ``[places, O]``."""
    groups = patches_.shape[1]
    if groups == 1:
        return patches_[:, 0] @ weights.T.astype(np.float32)
    per_group = weights.reshape(groups, -1, weights.shape[1]).astype(np.float32)
    found = np.matmul(patches_.transpose(1, 0, 2), per_group.transpose(0, 2, 1))
    return found.transpose(1, 0, 2).reshape(len(patches_), -1)


@dataclass(frozen=True)
class Problem:
    """Which codes to choose.

    Attributes:
        patches: What the layer sees, ``[places, groups, K]``.
        sums: What its sums should be, ``[places, O]``.
        active: How much each of these counts, ``[places, O]``, or None for all alike.
        weights: Real weights ``[O, K]``, towards which the solution is drawn.
        scales: Of the codes, for each channel.
        ridge: How strongly it is drawn, as a share of the mean second moment.
        limits: The least and greatest code.
    """

    patches: Single
    sums: Single
    active: Single | None
    weights: Real
    scales: Real
    ridge: float
    limits: tuple[int, int]

    def nearest(self, factor: float = 1.0) -> Real:
        """Return the codes nearest to the real weights, at scales ``factor`` times as large."""
        return np.clip(np.rint(self.weights / (self.scales[:, None] * factor)), *self.limits)


@dataclass(frozen=True)
class Solution:
    """Codes, and the scales that they are at.

    Attributes:
        codes: ``[O, K]``.
        factor: What the scales are multiplied by.
        real: The real weights of the least error, near the codes; those of the problem in other channels, and in all
            where nobody asked for them.
    """

    codes: Real
    factor: float
    real: Real


def solve(
    problem: Problem, channels: NDArray[np.int64], factors: Sequence[float] = (1.0,), with_real: bool = False
) -> Solution:
    """Return the codes of the least error that was found, in ``channels``; the nearest ones in the others.

    Args:
        problem: What is wanted.
        channels: Which channels to solve: all, if there are several factors.
        factors: What all scales may be multiplied by; the one with the least error wins, the first of equals.
        with_real: Whether to return the real solution as well, which takes as long again in a layer of long channels.
    """
    codes = [problem.nearest(factor) for factor in factors]
    errors = np.zeros(len(factors))
    solution = problem.weights.copy()
    for part, moments, mixed in _systems(problem, channels):
        if with_real:
            solution[part] = _real_solution(moments, mixed)
        for index, factor in enumerate(factors):
            scales = problem.scales[part, None] * factor
            found = descend(codes[index][part], mixed / scales, moments, problem.limits)
            codes[index][part] = found
            errors[index] += _error(found * scales, mixed, moments)
    best = int(np.argmin(errors))
    return Solution(codes[best], factors[best], solution)


def _systems(problem: Problem, channels: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int64], Real, Real]]:
    """Yield channels with their systems H t = m: H ``[K, K]`` for all or ``[channels, K, K]``, and m for each channel.

    H are second moments with the ridge, and m those with the sums, drawn to the problem's weights by the ridge.
    """
    if problem.active is None and problem.patches.shape[1] == 1:
        moments, mixed = _second_moments(problem.patches[:, 0], problem.sums[:, channels])
        ridge = _add_ridge(moments, problem.ridge)
        yield channels, moments, mixed.T + ridge * problem.weights[channels]
        return
    per_group, count = len(problem.weights) // problem.patches.shape[1], problem.patches.shape[2]
    group, index = _Group(problem.patches[:, 0]), 0
    for part in _parts(channels, count):
        moments, mixed = np.empty((len(part), count, count)), np.empty((len(part), count))
        for row, channel in enumerate(part):
            if channel // per_group != index:
                index = int(channel) // per_group
                group = _Group(problem.patches[:, index])
            moments[row], mixed[row] = group.system(problem.sums[:, channel], _weight(problem, channel))
            mixed[row] += _add_ridge(moments[row], problem.ridge) * problem.weights[channel]
        yield part, moments, mixed


def _add_ridge(moments: Real, share: float) -> float:
    """Add the ridge, a share of the mean second moment, to the diagonal of ``[K, K]`` in place, and return it."""
    count = len(moments)
    ridge = float(share * np.trace(moments) / count + 1e-12)
    moments[np.diag_indices(count)] += ridge
    return ridge


def _weight(problem: Problem, channel: np.int64) -> Single | None:
    return None if problem.active is None else problem.active[:, channel]


def _parts(channels: NDArray[np.int64], count: int) -> Iterator[NDArray[np.int64]]:
    """Yield as many channels of ``count`` weights as are solved at a time."""
    size = min(_CHANNELS, max(1, _MOMENTS // count**2))
    for first in range(0, len(channels), size):
        yield channels[first : first + size]


class _Group:
    """What the channels of a group see, and its second moments over all places.

    Where a sum counts fully or next to nothing, second moments are those of all places and those of the few that
    differ from most: a fraction of the work for each channel.
    """

    def __init__(self, seen: Single) -> None:
        self.seen = seen - seen.mean(axis=0)
        self.moments = self.seen.T @ self.seen

    def system(self, sums: Single, weight: Single | None) -> tuple[Real, Real]:
        """Return the centred second moments ``[K, K]`` of a channel, and those with its sums, ``[K]``."""
        if weight is None:
            return _second_moments(self.seen, sums)
        least, most = float(weight.min()), float(weight.max())
        high = weight == most
        many = np.count_nonzero(high) * 2 > len(high)
        few = self.seen[~high if many else high]
        part = few.T @ few
        moments = least * self.moments + (most - least) * (self.moments - part if many else part)
        weighted = weight @ self.seen
        total = weight.sum()
        centre = float(weight @ sums) / float(total)
        mixed = (weight * (sums - centre)) @ self.seen
        return (moments - np.outer(weighted, weighted) / total).astype(np.float64), mixed.astype(np.float64)


def _second_moments(seen: Single, sums: Single) -> tuple[Real, Real]:
    """Return centred second moments of what is seen, ``[K, K]``, and with the sums, ``[K]`` or ``[K, O]``."""
    centred, error = seen - seen.mean(axis=0), sums - sums.mean(axis=0)
    return (centred.T @ centred).astype(np.float64), (centred.T @ error).astype(np.float64)


def _real_solution(moments: Real, mixed: Real) -> Real:
    """Return the real weights of each channel that have the least error."""
    if moments.ndim == 2:
        return np.linalg.solve(moments, mixed.T).T.astype(np.float64)
    return np.linalg.solve(moments, mixed[..., None])[..., 0].astype(np.float64)


def _error(weights: Real, mixed: Real, moments: Real) -> float:
    """Return the sum over channels of ``(w - t)^T H (w - t)``, less ``t^T H t``, which is the same for all weights."""
    return float(np.sum((_products(weights, moments) - 2.0 * mixed) * weights))


def _products(rows: Real, moments: Real) -> Real:
    """Return each row times the second moments of all channels or its own."""
    return np.matmul(rows[:, None, :], moments)[:, 0] if moments.ndim == 3 else rows @ moments


def descend(codes: Real, mixed: Real, moments: Real, limits: tuple[int, int]) -> Real:
    """Return integer codes with a nearly least ``(w - t)^T H (w - t)``: hardly a change of a single code makes it less.

    Args:
        codes: Where to start, ``[channels, K]``.
        mixed: H t for each channel, of the same shape. Finding t itself would take longer than all the rest.
        moments: H, ``[K, K]`` for all channels or ``[channels, K, K]``.
        limits: The least and greatest code.
    """
    found = codes.copy()
    gradient = _products(found, moments) - mixed
    for _ in range(SWEEPS):
        changed = 0
        for first in range(0, codes.shape[1], _BLOCK):
            block = slice(first, first + _BLOCK)
            steps = _block_steps(found[:, block], gradient[:, block], moments[..., block, block], limits)
            count = np.count_nonzero(steps)
            if not count:
                continue
            changed += count
            found[:, block] += steps
            # All other weights learn of a block's steps at once, as a product of matrices.
            gradient += _products(steps, moments[..., block, :])
        if changed <= _SETTLED * found.size:
            break
    return found


def _block_steps(codes: Real, gradient: Real, moments: Real, limits: tuple[int, int]) -> Real:
    """Return what each code of a few neighbouring weights changes by, one after the other."""
    inside, steps = gradient.copy(), np.zeros_like(codes)
    diagonal = np.maximum(np.diagonal(moments, axis1=-2, axis2=-1), 1e-300)
    for index in range(codes.shape[1]):
        step = -np.rint(inside[:, index] / diagonal[..., index])
        step = np.clip(codes[:, index] + step, *limits) - codes[:, index]
        if step.any():
            steps[:, index] = step
            inside += step[:, None] * moments[..., index, :]
    return steps
