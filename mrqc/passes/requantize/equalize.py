"""``equalize``: channels of an activation are scaled so that the weights on both sides of it use their grids well."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mrqc.calibration import Teacher
from mrqc.calibration.observers import ValueStatistics
from mrqc.ir.graph import Module
from mrqc.ir.op import Value
from mrqc.ops import nn
from mrqc.passes.definition import CalibratedPass, Exactness
from mrqc.passes.requantize.form import Edits, LayerForm, Real, edited, float_constant, layers_of
from mrqc.passes.requantize.weights import WeightGrid
from mrqc.targets import Target

SWEEPS = 4
"""Over all pairs: what one pair moves, the next passes on."""
LEAST_FACTOR = 0.5
"""A channel loses at most one bit of its activation for the sake of weights."""
SATURATED = 1e-3
"""Share of results at the upper clamp above which a channel is taken to need it where it is."""
TAIL = 1e-4
"""Share of results that may be cut off where a channel is scaled up to the clamp."""
_GAIN = 0.95
"""A move is made if the errors of the weights fall below this share of what they were."""
_RATIOS = (1.0, 0.85, 0.7)
"""Weight scales over the min-max one at which errors are compared."""


@dataclass(frozen=True)
class Equalize(CalibratedPass):
    """Multiply output channels of a layer, and divide the input channels of the layers behind it, by the same factors.

    The factors give both sides the same share of their range, ``c = sqrt((r_B / R_B) / (r_A / R_A))`` (Nagel et al.,
    data-free quantization, arXiv 1906.04721). A ReLU6 is kept: a channel that reaches the clamp is left alone, another
    one grows at most until it does, as seen on the samples. A pair is changed only if its weights' errors fall, so
    that weights on their file's own grid stay there (docs/requantization.md equation 9).

    Attributes:
        target: Nothing is done where each channel has its own scale.
    """

    name: ClassVar[str] = "equalize"
    summary: ClassVar[str] = "scale channels of activations so that per-tensor weights lose less"
    exactness: ClassVar[Exactness] = "lossy"
    target: Target

    def run(self, module: Module, teacher: Teacher) -> Module:
        """Return the module with scaled channels; the teacher learns by how much."""
        work = _Work(module, self.target)
        pairs = list(work.pairs())
        if not pairs:
            return module
        bounds = {pair.name: _bounds(pair, teacher) for pair in pairs}
        factors = {pair.name: np.ones(pair.channels) for pair in pairs}
        for _ in range(SWEEPS):
            for pair in pairs:
                factors[pair.name] *= work.move(pair, factors[pair.name], bounds[pair.name])
        for name, factor in factors.items():
            if np.any(factor != 1.0):
                teacher.scaled[name] = teacher.scaled.get(name, 1.0) * factor
        return edited(module, Edits(constants=work.constants(factors)))


@dataclass(frozen=True)
class _Pair:
    """A layer and those that use its result, all of them."""

    first: LayerForm
    behind: tuple[LayerForm, ...]

    @property
    def name(self) -> str:
        return self.first.name

    @property
    def channels(self) -> int:
        return self.first.op.weight.type.shape[0]


class _Work:
    """The real weights of all layers while they change."""

    def __init__(self, module: Module, target: Target) -> None:
        self._module = module
        self._target = target
        self._layers = {layer.name: layer for layer in layers_of(module)}
        self._weights = {name: layer.real_weights() for name, layer in self._layers.items()}
        self._biases = {name: layer.real_bias() for name, layer in self._layers.items()}

    def pairs(self) -> Iterator[_Pair]:
        """Yield each layer whose result only layers use, pads in between apart."""
        for layer in self._layers.values():
            behind = list(self._readers(layer.statement.result))
            if not behind or any(one is None for one in behind) or not self._is_movable(layer):
                continue
            found = tuple(one for one in behind if one is not None)
            if all(self._is_movable(one) for one in found):
                yield _Pair(layer, found)

    def _is_movable(self, layer: LayerForm) -> bool:
        op = layer.op
        if layer.rounding is None or self._target.weight.is_per_channel_for(op.mnemonic):
            return False
        depthwise = isinstance(op, nn.Conv2D) and op.groups == op.weight.type.shape[0] == op.input.type.shape[-1]
        return isinstance(op, nn.FullyConnected) or (isinstance(op, nn.Conv2D) and (op.groups == 1 or depthwise))

    def _readers(self, value: Value) -> Iterator[LayerForm | None]:
        if value in self._module.graph.output_values:
            yield None
        for statement in self._module.graph.uses.get(value, ()):
            if isinstance(statement.op, nn.Pad) and statement.op.value == 0.0 and not any(statement.op.padding[-2:]):
                yield from self._readers(statement.result)
            elif statement.result.name in self._layers and self._layers[statement.result.name].op.input == value:
                yield self._layers[statement.result.name]
            else:
                yield None

    def move(self, pair: _Pair, done: Real, bounds: tuple[Real, Real]) -> Real:
        """Scale the channels between the layers of a pair, if that helps, and return by what."""
        first, behind = self._weights[pair.name], [self._weights[layer.name] for layer in pair.behind]
        reach = _rows(first)
        uses = np.max(
            [_columns(layer, w) / max(np.abs(w).max(), 1e-30) for layer, w in zip(pair.behind, behind, strict=True)],
            axis=0,
        )
        wanted = np.sqrt(np.maximum(uses, 1e-9) / np.maximum(reach / max(reach.max(), 1e-30), 1e-9))
        factor = np.clip(done * wanted, *bounds) / done
        new_first = first * factor.reshape(-1, *(1,) * (first.ndim - 1))
        new_behind = [_divided(layer, w, factor) for layer, w in zip(pair.behind, behind, strict=True)]
        before = self._error(pair.first, first) + sum(map(self._error, pair.behind, behind))
        after = self._error(pair.first, new_first) + sum(map(self._error, pair.behind, new_behind))
        if not after < _GAIN * before:
            return np.ones_like(factor)
        self._weights[pair.name] = new_first
        self._biases[pair.name] = self._biases[pair.name] * factor
        for layer, weights in zip(pair.behind, new_behind, strict=True):
            self._weights[layer.name] = weights
        return factor

    def _error(self, layer: LayerForm, weights: Real) -> float:
        """Return the mean relative error of the channels of a layer at about the best scale for the tensor."""
        scheme = self._target.weight
        least = np.abs(weights).max() / scheme.maximum or 1.0
        scales = [least * ratio for ratio in _RATIOS]
        original = layer.source.result.type.quantization
        if original is not None and original.is_per_tensor and np.array_equal(weights, layer.real_weights()):
            scales.append(original.scale)
        grid = WeightGrid.of_reals(weights)
        return float(grid.relative_errors(np.asarray(scales), scheme).mean(axis=0).min())

    def constants(self, factors: Mapping[str, Real]) -> dict[str, nn.Constant]:
        """Return the constants of all layers that changed."""
        moved = {name for name, factor in factors.items() if np.any(factor != 1.0)}
        found: dict[str, nn.Constant] = {}
        for name, layer in self._layers.items():
            if not np.array_equal(self._weights[name], layer.real_weights()):
                found[layer.source.result.name] = float_constant(self._weights[name])
            if name in moved and layer.bias is not None:
                found[layer.bias.result.name] = float_constant(self._biases[name])
        return found


def _rows(weights: Real) -> Real:
    return np.abs(weights).reshape(len(weights), -1).max(axis=1)


def _is_depthwise(layer: LayerForm) -> bool:
    return isinstance(layer.op, nn.Conv2D) and layer.op.groups > 1


def _columns(layer: LayerForm, weights: Real) -> Real:
    """Return the greatest weight that each input channel meets."""
    return _rows(weights) if _is_depthwise(layer) else np.abs(weights).reshape(-1, weights.shape[-1]).max(axis=0)


def _divided(layer: LayerForm, weights: Real, factor: Real) -> Real:
    """Return the weights of a layer whose input channels are multiplied by ``factor``."""
    return weights / (factor[:, None, None, None] if _is_depthwise(layer) else factor)


def _bounds(pair: _Pair, teacher: Teacher) -> tuple[Real, Real]:
    """Return the least and greatest factor of each channel at which the clamp between the layers does what it did."""
    statistics = teacher.statistics.get(pair.name)
    low, high = pair.first.op.clamp
    fixed = np.ones(pair.channels)
    if statistics is None or statistics.histogram is None or statistics.histogram.channels is None:
        return fixed, fixed
    greatest, least, saturated = _tails(statistics, low, high)
    with np.errstate(divide="ignore"):
        upper = np.minimum(
            np.where(greatest > 0, high / np.maximum(greatest, 1e-30), np.inf),
            np.where(least < 0, low / np.minimum(least, -1e-30), np.inf) if low < 0 else np.inf,
        )
    upper = np.clip(upper, 1.0, 64.0)
    return np.where(saturated, 1.0, LEAST_FACTOR), np.where(saturated, 1.0, upper)


def _tails(statistics: ValueStatistics, low: float, high: float) -> tuple[Real, Real, np.ndarray]:
    """Return, for each channel, the ends of what was seen less a small tail, and whether a limit was reached often."""
    histogram = statistics.histogram
    assert histogram is not None
    assert histogram.channels is not None
    counts = histogram.channels.astype(np.float64)
    reals = statistics.real(histogram.codes)
    share = np.cumsum(counts, axis=1) / np.maximum(counts.sum(axis=1, keepdims=True), 1.0)
    greatest = reals[np.argmax(share >= 1.0 - TAIL, axis=1)]
    least = reals[np.argmax(share > TAIL, axis=1)]
    step = reals[1] - reals[0]
    total = np.maximum(counts.sum(axis=1), 1.0)
    saturated = counts[:, reals >= high - 0.75 * step].sum(axis=1) / total > SATURATED
    if low < 0:
        saturated |= counts[:, reals <= low + 0.75 * step].sum(axis=1) / total > SATURATED
    return greatest, least, saturated
