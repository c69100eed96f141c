"""``equalize``: channels of an activation are scaled so that the weights on both sides of it use their grids well."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mrqc.calibration import Teacher
from mrqc.ir.graph import Module
from mrqc.passes.definition import CalibratedPass, Exactness
from mrqc.passes.requantize.channel_pairs import ChannelPair, ChannelPairs, Room, columns, room_of, rows
from mrqc.passes.requantize.form import Edits, LayerForm, Real, edited
from mrqc.passes.requantize.weights import WeightGrid
from mrqc.targets import Target

SWEEPS = 4
"""Over all pairs: what one pair moves, the next passes on."""
LEAST_FACTOR = 0.5
"""A channel loses at most one bit of its activation for the sake of weights."""
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
        work = ChannelPairs(module, self.target)
        rooms = [(pair, room_of(pair, teacher.statistics.get(pair.name))) for pair in work.pairs()]
        pairs = [(pair, room) for pair, room in rooms if room is not None]
        if not pairs:
            return module
        factors = {pair.name: np.ones(pair.channels) for pair, _ in pairs}
        for _ in range(SWEEPS):
            for pair, room in pairs:
                factors[pair.name] *= self._move(work, pair, factors[pair.name], room)
        for name, factor in factors.items():
            if np.any(factor != 1.0):
                teacher.scaled[name] = teacher.scaled.get(name, 1.0) * factor
        return edited(module, Edits(constants=work.constants(factors)))

    def _move(self, work: ChannelPairs, pair: ChannelPair, done: Real, room: Room) -> Real:
        """Scale the channels between the layers of a pair, if that helps, and return by what."""
        names = [pair.name, *(layer.name for layer in pair.behind)]
        before = {name: work.weights[name] for name in names}
        reach = rows(before[pair.name])
        uses = np.max(
            [
                columns(layer, before[layer.name]) / max(np.abs(before[layer.name]).max(), 1e-30)
                for layer in pair.behind
            ],
            axis=0,
        )
        wanted = np.sqrt(np.maximum(uses, 1e-9) / np.maximum(reach / max(reach.max(), 1e-30), 1e-9))
        least = np.where(room.saturated, 1.0, LEAST_FACTOR)
        factor = np.clip(done * wanted, least, room.upper) / done
        bias = work.biases[pair.name]
        work.scale(pair, factor)
        layers = (pair.first, *pair.behind)
        was = sum(self._error(layer, before[layer.name]) for layer in layers)
        if sum(self._error(layer, work.weights[layer.name]) for layer in layers) < _GAIN * was:
            return factor
        work.weights.update(before)
        work.biases[pair.name] = bias
        return np.ones_like(factor)

    def _error(self, layer: LayerForm, weights: Real) -> float:
        """Return the mean relative error of the channels of a layer at about the best scale for the tensor."""
        scheme = self.target.weight
        least = np.abs(weights).max() / scheme.maximum or 1.0
        scales = [least * ratio for ratio in _RATIOS]
        original = layer.source.result.type.quantization
        if original is not None and original.is_per_tensor and np.array_equal(weights, layer.real_weights()):
            scales.append(original.scale)
        grid = WeightGrid.of_reals(weights)
        return float(grid.relative_errors(np.asarray(scales), scheme).mean(axis=0).min())
