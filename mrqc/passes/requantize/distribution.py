"""What values activations take, as far as the choice of scales goes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mrqc.calibration import CodeHistogram, Teacher, ValueStatistics
from mrqc.ir.graph import Module
from mrqc.ops import nn
from mrqc.passes.requantize.form import LayerForm, Real, layers_of
from mrqc.passes.requantize.weights import WeightGrid


@dataclass(frozen=True, slots=True, eq=False)
class Distribution:
    """How often an activation takes which value, from calibration samples.

    Attributes:
        values: Real values ``[bins]``, ascending.
        shares: How often each is taken, ``[bins]``; they add up to 1.
        power: The mean variance of a channel: what noise is measured against.
        inside: The share of values that are at neither end of the clamp; only these are rounded.
        variances: The variance of each channel of the last axis.
        active: The share of each channel's values that are at neither end of the clamp.
    """

    values: Real
    shares: Real
    power: float
    inside: float
    variances: Real
    active: Real

    @classmethod
    def of(cls, statistics: ValueStatistics) -> Distribution | None:
        """Return the distribution of a per-tensor activation of 8 or 16 bits; None for others and for constants."""
        quantization, histogram = statistics.type.quantization, statistics.histogram
        if quantization is None or not quantization.is_per_tensor or histogram is None or not histogram.total:
            return None
        variances = np.broadcast_to(statistics.variance, statistics.moments.minimum.shape)
        power = float(variances.mean())
        if power <= 0.0:
            return None
        return cls(
            statistics.real(histogram.codes),
            _with_one_more(histogram),
            power,
            float(1.0 - _ends(histogram.counts) / histogram.total),
            variances,
            1.0 - _ends_of_channels(histogram),
        )

    def errors(self, scales: Real, low: Real, high: Real, *, rounded: bool = True) -> Real:
        """Return the squared error over the power at each of ``scales``, whose codes reach from ``low`` to ``high``.

        Rounding adds ``s^2 / 12`` where a value is not at an end of its clamp, and what lies outside is cut off
        (docs/requantization.md equation 7). Values that are codes of the same grid already are not ``rounded``.
        """
        beyond = np.clip(self.values, low[..., None], high[..., None]) - self.values
        return (rounded * self.inside * scales**2 / 12.0 + beyond**2 @ self.shares) / self.power


def distributions(teacher: Teacher) -> Mapping[str, Distribution]:
    """Return the distribution of each activation of the original, by name; none where samples tell nothing."""
    if not teacher.is_representative:
        return {}
    found = {name: Distribution.of(one) for name, one in teacher.statistics.items()}
    return {name: one for name, one in found.items() if one is not None and name not in teacher.scaled}


def _with_one_more(histogram: CodeHistogram) -> Real:
    """Return shares to which one more value of each channel adds, which could have been any code.

    Few samples have not seen the ends of a range: cutting them off must not look free.
    """
    counts = histogram.counts.astype(np.float64)
    return (counts + len(histogram.rows) / len(counts)) / (histogram.total + len(histogram.rows))


def _ends(counts: NDArray[np.int64]) -> int:
    """Return how many values are the least or the greatest one, where many are: a clamp puts them there."""
    seen = np.flatnonzero(counts)
    return int(counts[seen[0]] + counts[seen[-1]]) if len(seen) > 1 else 0


def _ends_of_channels(histogram: CodeHistogram) -> Real:
    seen = np.flatnonzero(histogram.counts)
    totals = np.maximum(histogram.rows.sum(axis=1), 1)
    if len(seen) < 2:
        return np.zeros(len(totals))
    return (histogram.rows[:, seen[0]] + histogram.rows[:, seen[-1]]) / totals


def weighed_grids(module: Module, teacher: Teacher) -> dict[str, WeightGrid]:
    """Return the weights of each layer, by name, where errors count as much noise as they make in its results.

    An error of one weight adds the variance of what it is multiplied by, and only to results that no clamp hides; all
    is measured against the mean variance of a result (docs/requantization.md equation 8). Covariances are left out: a
    table for each scale would need all of them.

    Args:
        module: In the form of re-quantization.
        teacher: Its data say how much each weight counts. Without data the weights alone do: ranges of synthetic
            pictures are good enough, variances of single channels are not.
    """
    seen: Mapping[str, Distribution] = distributions(teacher) if teacher.has_data else {}
    sources = _sources(module)
    grids: dict[str, WeightGrid] = {}
    for layer in layers_of(module):
        grid, before, after = layer.grid, seen.get(sources[layer.op.input.name]), seen.get(layer.name)
        if before is not None and after is not None and (weighing := _weighing(layer, before, after)) is not None:
            grid = replace(grid, weighing=weighing)
        grids[layer.name] = grid
    return grids


def _weighing(layer: LayerForm, before: Distribution, after: Distribution) -> Real | None:
    shape = layer.op.weight.type.shape
    outputs, depth = shape[0], shape[-1]
    groups = 1 if isinstance(layer.op, nn.FullyConnected) else layer.op.groups
    if len(before.variances) != groups * depth or len(after.active) != outputs:
        return None
    of_inputs = before.variances.reshape(groups, 1, depth).repeat(outputs // groups, axis=1).reshape(outputs, depth)
    counted = of_inputs * after.active[:, None] / after.power
    return np.broadcast_to(counted.reshape(outputs, *(1,) * (len(shape) - 2), depth), shape)


def _sources(module: Module) -> dict[str, str]:
    """Return, for each value, the name of that whose channels it has: its own, or what a pad was put around."""
    names = {value.name: value.name for value in module.graph.values()}
    for statement in module.graph.statements:
        if isinstance(statement.op, nn.Pad | nn.Quantize | nn.Relabel):
            names[statement.result.name] = names[statement.op.input.name]
    return names
