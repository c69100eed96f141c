"""Second moments of what the channels of a layer see: what rounding their weights costs the layer's results."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrqc.ops import nn
from mrqc.passes.requantize.form import OFF_GRID, LayerForm, Real, limits_of
from mrqc.passes.requantize.places import Single, products

_CHANNELS = 1024
"""Output channels with second moments of their own that are solved at a time, if these fit in ``_MOMENTS``."""
_SEEN = 1 << 21
"""Numbers that are looked at at a time where every channel sees others: 16 mebibytes in double precision."""
_MOMENTS = 1 << 24
"""Numbers in the second moments that are held at a time: 128 mebibytes in double precision, and their factors."""
_MARGIN = 0.05
"""Share of the clamped range by which sums may lie outside and still count."""
_SATURATED = 1e-3
"""How much a sum counts that the clamp hides."""
_WEIGHTS = 512
"""How many weights a channel may have for second moments of its own: their cost grows with the square and more."""
PLACES_OF_A_WEIGHT = 8
"""How many places these need for each weight: a channel whose clamp hides most of them would learn those by heart."""


@dataclass(frozen=True)
class Problem:
    """Which codes to choose.

    Attributes:
        patches: What the layer sees, ``[places, groups, K]``.
        sums: What its sums should be, ``[places, O]``.
        active: How much each of these counts, ``[places, O]``, or None for all alike. In long channels, and those that
            were seen at few places, all count alike: see :attr:`shared`.
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

    @classmethod
    def of(
        cls,
        layer: LayerForm,
        seen: Single,
        scales: Real,
        ridge: float,
        limits: tuple[int, int],
        sums: Single | None = None,
    ) -> Problem:
        """Return the problem of a layer that sees ``seen``; its sums should be those of the real weights if not told.

        Args:
            layer: In the form of re-quantization.
            seen: ``[places, groups, K]``.
            scales: Of the codes, one or one for each output channel.
            ridge: As the attribute.
            limits: The least and greatest code.
            sums: What they should be, ``[places, O]``.
        """
        weights = layer.real_weights().reshape(layer.op.weight.type.shape[0], -1)
        if sums is None:
            sums = products(seen, weights) + layer.real_bias().astype(np.float32)
        return cls(seen, sums, _active(layer, sums), weights, np.broadcast_to(scales, (len(weights),)), ridge, limits)

    @property
    def shared(self) -> bool:
        """Whether all channels of a group have the same second moments, those of all places."""
        places, _, count = self.patches.shape
        return self.active is None or count > _WEIGHTS or places < PLACES_OF_A_WEIGHT * count

    def nearest(self, factor: float = 1.0) -> Real:
        """Return the codes nearest to the real weights, at scales ``factor`` times as large."""
        return np.clip(np.rint(self.weights / (self.scales[:, None] * factor)), *self.limits)


@dataclass(frozen=True)
class System:
    """The systems H t = m of some channels, drawn to the real weights by the ridge.

    Attributes:
        channels: Which these are.
        moments: H, second moments of what they see, ``[K, K]`` for all of them or ``[channels, K, K]``.
        mixed: m, second moments with the sums that are wanted, ``[channels, K]``.
    """

    channels: NDArray[np.int64]
    moments: Real
    mixed: Real

    @classmethod
    def of(cls, problem: Problem, channels: NDArray[np.int64], moments: Real, mixed: Real) -> System:
        """Return the systems with the problem's ridge, which is added to ``moments`` in place."""
        diagonal = np.diagonal(moments, axis1=-2, axis2=-1)
        ridge = problem.ridge * diagonal.mean(axis=-1, keepdims=True) + 1e-12
        index = np.arange(len(problem.weights[0]))
        moments[..., index, index] += ridge
        return cls(channels, moments, mixed + ridge * problem.weights[channels])

    @property
    def lower(self) -> Real:
        """The lower Cholesky factor of H, of the same shape."""
        return np.linalg.cholesky(self.moments).astype(np.float64, copy=False)


def systems(problem: Problem, channels: NDArray[np.int64]) -> Iterator[System]:
    """Yield the systems of some channels, as many at a time as fit."""
    if problem.shared and problem.patches.shape[1] == 1:
        moments, mixed = _second_moments(problem.patches[:, 0], problem.sums[:, channels])
        yield System.of(problem, channels, moments, mixed.T)
        return
    per_group, count = len(problem.weights) // problem.patches.shape[1], problem.patches.shape[2]
    if per_group == 1:
        for part in _parts(channels, count):
            yield System.of(problem, part, *_alone(problem, part))
        return
    group, index = _Group(problem.patches[:, 0]), 0
    for part in _parts(channels, count):
        moments, mixed = np.empty((len(part), count, count)), np.empty((len(part), count))
        for row, channel in enumerate(part):
            if channel // per_group != index:
                index = int(channel) // per_group
                group = _Group(problem.patches[:, index])
            active = None if problem.active is None or problem.shared else problem.active[:, channel]
            moments[row], mixed[row] = group.system(problem.sums[:, channel], active)
        yield System.of(problem, part, moments, mixed)


def _parts(channels: NDArray[np.int64], count: int) -> Iterator[NDArray[np.int64]]:
    """Yield as many channels of ``count`` weights as are solved at a time."""
    size = min(_CHANNELS, max(1, _MOMENTS // count**2))
    for first in range(0, len(channels), size):
        yield channels[first : first + size]


def off_grid(codes: Real, limits: tuple[int, int]) -> NDArray[np.int64]:
    """Return the channels with weights that are no codes; ``codes`` are real, ``[O, K]``."""
    nearest = np.clip(np.rint(codes), *limits)
    return np.flatnonzero(np.abs(codes - nearest).max(axis=1) > OFF_GRID)


def _active(layer: LayerForm, sums: Single) -> Single | None:
    """Return how much each sum counts: next to nothing where the clamp hides it; None where nothing is clamped."""
    if layer.op.clamp == nn.UNBOUNDED:
        return None
    low, high = limits_of(layer)
    inside = (sums > low) & (sums < high)
    if inside.mean() > 0.999:
        return None
    margin = np.float32(_MARGIN * (high - low))
    return np.where((sums > low - margin) & (sums < high + margin), 1.0, _SATURATED).astype(np.float32)


class _Group:
    """What the channels of a group see, and its second moments over all places.

    Where a sum counts fully or next to nothing, second moments are those of all places and those of the few that
    differ from most: a fraction of the work for each channel.
    """

    def __init__(self, seen: Single) -> None:
        self.seen: Real = seen - seen.mean(axis=0, dtype=np.float64)
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
        counts: Real = weight.astype(np.float64)
        weighted, total = counts @ self.seen, float(counts.sum())
        mixed: Real = (counts * (sums - float(counts @ sums) / total)) @ self.seen
        return moments - np.outer(weighted, weighted) / total, mixed


def _alone(problem: Problem, channels: NDArray[np.int64]) -> tuple[Real, Real]:
    """Return the second moments of channels that are each a group by themselves, a few of them at a time."""
    places, _, count = problem.patches.shape
    moments, mixed = np.empty((len(channels), count, count)), np.empty((len(channels), count))
    step = max(1, _SEEN // (places * count))
    for first in range(0, len(channels), step):
        rows = slice(first, first + step)
        part = channels[rows]
        seen = problem.patches[:, part].transpose(1, 0, 2).astype(np.float64)
        seen -= seen.mean(axis=1, keepdims=True)
        sums: Real = problem.sums[:, part].T.astype(np.float64)
        if problem.active is None or problem.shared:
            counts = np.ones_like(sums)
        else:
            counts = problem.active[:, part].T.astype(np.float64)
        total = counts.sum(axis=1, keepdims=True)
        weighted = np.matmul(counts[:, None], seen)
        error = counts * (sums - np.sum(counts * sums, axis=1, keepdims=True) / total)
        mixed[rows] = np.matmul(error[:, None], seen)[:, 0]
        outer = weighted.transpose(0, 2, 1) * weighted / total[..., None]
        moments[rows] = np.matmul((seen * counts[..., None]).transpose(0, 2, 1), seen) - outer
    return moments, mixed


def _second_moments(seen: Single | Real, sums: Single) -> tuple[Real, Real]:
    """Return centred second moments of what is seen, ``[K, K]``, and with the sums, ``[K]`` or ``[K, O]``."""
    centred, error = seen - seen.mean(axis=0, dtype=np.float64), sums - sums.mean(axis=0, dtype=np.float64)
    return centred.T @ centred, centred.T @ error
