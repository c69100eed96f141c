"""Which tensors stay on their original's grid, to repeat its rounding instead of adding to it.

The original rounds, too. Another grid adds a rounding of its own to that, however fine it is; the same grid adds only
where what is rounded differs so much that another code is nearer. That is rare near the inputs, which are the
original's codes, and each rounding on the way makes it more frequent (docs/requantization.md equation 20).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import cast

import numpy as np

from mrqc.backends.reference.grid import real_values
from mrqc.calibration import Teacher
from mrqc.ir.graph import Module, Statement
from mrqc.ir.op import Value
from mrqc.ops import nn
from mrqc.passes.requantize.distribution import Distribution, distributions
from mrqc.passes.requantize.form import Layer, LayerForm, have_one_scale, layers_of, limits_of, scale_of
from mrqc.passes.requantize.least_squares import choices, solve
from mrqc.passes.requantize.places import Positions, Single, patches, products
from mrqc.passes.requantize.second_moments import PLACES_OF_A_WEIGHT, Problem, off_grid
from mrqc.passes.requantize.weight_scales import shift_scales
from mrqc.targets import Target

_FAR = 0.35
"""Root mean square, in codes, of differences from which on repeating them is too rare to be looked at."""
_SAMPLES, _PLACES = 32, 4096
"""What is looked at, of the calibration samples and in each layer."""
_RIDGE = 0.01
"""As closed-form rounding has it."""
_NEAR, _WAVES = 0.1, 8
"""Differences up to which hardly any is a whole code, and the terms of a series that do from there on."""


def added_by_rounding(difference: float) -> float:
    """Return what rounding to one grid adds to the mean square of a normal difference, all in codes.

    Of numbers that differ by k + f codes, f < 1, a share f is rounded to codes k + 1 apart and the others to codes k
    apart: that adds f (1 - f) to the square of their difference. Its mean is a Fourier series, or that of |e| - e^2
    where differences e are small; 1/6 where they are large, as for two independent roundings.

    Args:
        difference: Root mean square of what two numbers differ by before they are rounded.
    """
    if difference < _NEAR:
        return math.sqrt(2.0 / math.pi) * difference - difference**2
    waves = np.arange(1, _WAVES + 1)
    decay = np.exp(-2.0 * (math.pi * waves * difference) ** 2)
    return 1.0 / 6.0 - float((decay / (math.pi * waves) ** 2).sum())


@dataclass(frozen=True)
class _Choice:
    """What one scale of a layer's result means, in squared codes of the original.

    Attributes:
        weights: Mean square of what rounding the weights changes in a sum.
        rounding: What rounding the sum and cutting it off add to that.
    """

    weights: float
    rounding: float

    @property
    def error(self) -> float:
        return self.weights + self.rounding


class RepeatedRounding:
    """The search for results of layers that are nearer to the original's on its grid, in order.

    A layer's weights are rounded for two results: at the scale that it has, and at the original's. What that does to
    its sums is measured behind the original's inputs. Layers count as long as differences in front of them are small.
    """

    def __init__(self, teacher: Teacher, target: Target) -> None:
        """Begin with nothing.

        Args:
            teacher: The original; synthetic samples other than pictures tell nothing.
            target: Its weights' codes.
        """
        self._teacher = teacher.with_few(_SAMPLES)
        self._target = target
        self._useful = teacher.is_representative and target.weight.symmetric
        self._original = {statement.result.name: statement for statement in teacher.module.graph.statements}
        self._seen: Mapping[str, Distribution] = distributions(teacher) if self._useful else {}
        self._patches: dict[str, Single | None] = {}
        self._changes: dict[tuple[str, float], float] = {}

    def next(self, module: Module, kept: Collection[str]) -> str | None:
        """Return the name of the first layer's result, after those that are ``kept``, that should be on its own grid.

        Args:
            module: In the form of re-quantization, at the scales that it has if these are kept.
            kept: Names of results that are on the original's grid.
        """
        if not self._useful:
            return None
        layers = {layer.statement.result: layer for layer in layers_of(module)}
        # Over the variance of the tensor, which a layer passes on.
        differences: dict[Value, float] = dict.fromkeys(module.graph.inputs, 0.0)
        for statement in module.graph.statements:
            operands = [differences[value] for value in statement.op.operands if value in differences]
            if not operands:
                continue
            result, arriving = statement.result, max(operands)
            if result.name in self._teacher.scaled:
                # Channels that have other codes than the original's repeat nothing, and nothing is known of them.
                arriving = math.inf
            options = None if result not in layers else self._options(layers[result], arriving)
            if options is None:
                differences[result] = arriving + self._added(statement)
                continue
            same, other = options
            if result.name not in kept and same.error < other.error:
                return result.name
            # Ties, or codes that the target has not, may have kept it from there.
            error = same.error if result.name in kept and self._is_on_grid(result) else other.error
            differences[result] = arriving + error * self._share(result)
        return None

    def _is_on_grid(self, result: Value) -> bool:
        """Whether a result has the original's scale."""
        return have_one_scale(result.type.element, self._original[result.name].result.type.element)

    def _share(self, result: Value) -> float:
        """Return what a squared code of the original is over the variance of a tensor, where it is rounded at all."""
        one = self._seen[result.name]
        return one.inside * scale_of(self._original[result.name].result.type.element) ** 2 / one.power

    def _options(self, layer: LayerForm, arriving: float) -> tuple[_Choice, _Choice] | None:
        """Return what the original's scale would mean for a layer's result, and what its present one means.

        None where differences are large already, or too little is known.
        """
        original, one = self._original.get(layer.name), self._seen.get(layer.name)
        if original is None or one is None or not one.inside or not _is_same_layer(original, layer):
            return None
        own, scale = scale_of(original.result.type.element), scale_of(layer.statement.result.type.element)
        difference = arriving * one.power / own**2
        if difference >= _FAR**2:
            return None
        here, there = self._change(layer, original, own), self._change(layer, original, scale)
        if here is None or there is None:
            return None
        here, there = here / own**2, there / own**2
        same = _Choice(here, added_by_rounding(math.sqrt(difference + here)))
        low, high = (np.array([end]) for end in layer.op.element.real_range)
        cut = float(one.errors(np.array([scale]), low, high, rounded=False)[0]) * one.power / one.inside / own**2
        return same, _Choice(there, (1.0 + (scale / own) ** 2) / 12.0 + cut)

    def _added(self, statement: Statement) -> float:
        """Return what rounding on its own adds to the difference of any other op's result, over its variance."""
        result, one = statement.result, self._seen.get(statement.result.name)
        if one is None or not hasattr(statement.op, "element"):
            return 0.0
        return one.inside * scale_of(result.type.element) ** 2 / 6.0 / one.power

    def _seen_by(self, original: Statement) -> Single | None:
        """Return what a layer of the original sees at some places; None if these are few for its weights."""
        name, source = original.result.name, original.op.operands[0]
        if name not in self._patches:
            reals = self._reals(source)
            places = Positions.spread((len(reals), *original.result.type.shape[1:]), _PLACES)
            seen = patches(cast(Layer, original.op), reals, places)
            self._patches[name] = seen if len(seen) >= PLACES_OF_A_WEIGHT * seen.shape[2] else None
        return self._patches[name]

    def _reals(self, source: Value) -> Single:
        """Return real values of the original, for a few samples; nothing behind them is computed."""
        found: list[Single] = []
        for batch in self._teacher.batches():
            array = next(array for value, array in self._teacher.program.walk(batch) if value == source)
            found.append(real_values(array, source.type).astype(np.float32))
        return np.concatenate(found)

    def _change(self, layer: LayerForm, original: Statement, scale: float) -> float | None:
        """Return the mean square of what a layer's weights do to its sums once they are rounded for a result's scale.

        Weights have the best codes by equation 10, and means are taken to be corrected.
        """
        seen, scheme = self._seen_by(original), self._target.weight
        if seen is None:
            return None
        ratio = scale / scale_of(layer.op.input.type.element)
        if (layer.name, ratio) in self._changes:
            return self._changes[layer.name, ratio]
        chosen = shift_scales(layer.grid, ratio, scheme, scheme.is_per_channel_for(layer.op.mnemonic))
        problem = Problem.of(layer, seen, chosen, _RIDGE, (scheme.minimum, scheme.maximum))
        channels = off_grid(problem.weights / problem.scales[:, None], problem.limits)
        found = 0.0
        if len(channels):
            solution = solve(problem, *choices(channels, len(problem.weights), len(chosen) > 1, self._target))
            rounded = solution.codes * problem.scales[:, None] * solution.factor
            found = _mean_square(problem, products(seen, rounded - problem.weights), limits_of(layer))
        self._changes[layer.name, ratio] = found
        return found


def _is_same_layer(original: Statement, layer: LayerForm) -> bool:
    """Whether a statement of the original is the layer itself, and not what a pass has folded into it."""
    op = original.op
    return isinstance(op, nn.Conv2D | nn.FullyConnected) and op.weight.type.shape == layer.op.weight.type.shape


def _mean_square(problem: Problem, changes: Single, limits: tuple[float, float]) -> float:
    """Return the mean square of changes about the mean of their channel, where the sum is inside its limits."""
    inside = (problem.sums > limits[0]) & (problem.sums < limits[1])
    means = (changes * inside).sum(axis=0, dtype=np.float64) / np.maximum(inside.sum(axis=0), 1)
    return float(((changes - means) ** 2 * inside).sum() / max(int(inside.sum()), 1))
