"""``equalize``: channels of an activation are scaled so that the weights on both sides of it use their grids well."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mrqc.calibration import Teacher
from mrqc.ir.graph import Module
from mrqc.passes.definition import CalibratedPass, Exactness
from mrqc.passes.requantize.channel_pairs import (
    ChannelPair,
    ChannelPairs,
    Room,
    is_depthwise,
    pair_factor,
    room_of,
    triple_factors,
)
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

    The factors give both sides the same share of their range, ``c = sqrt((r_B / R_B) / (r_A / R_A))``; where a
    depthwise layer lies between two others, all three, ``g = cbrt(product of the shares)``, by the factors
    ``g / (r_A / R_A)`` in front of it and ``(r_C / R_C) / g`` behind it (Nagel et al., data-free quantization,
    arXiv 1906.04721). A ReLU6 is kept: a channel that reaches the clamp is left alone, another one grows at most until
    it does, as seen on the samples. Layers are changed only if their weights' errors fall together, so that weights on
    their file's own grid stay there (docs/requantization.md equation 14).

    Attributes:
        target: Nothing is done where each channel has its own scale.
        triples: Whether three layers are looked at together, after pairs were.
        limit: How many samples are looked at, as ``correct-biases`` has it.
        values: Likewise.
    """

    name: ClassVar[str] = "equalize"
    summary: ClassVar[str] = "scale channels of activations so that per-tensor weights lose less"
    exactness: ClassVar[Exactness] = "lossy"
    target: Target
    triples: bool = True
    limit: int = 0
    values: int = 0

    def run(self, module: Module, teacher: Teacher) -> Module:
        """Return the module with scaled channels; the teacher learns by how much."""
        teacher = teacher.with_few(self.limit, self.values)
        work = ChannelPairs(module, self.target)
        rooms = [(pair, room_of(pair, teacher.statistics.get(pair.name))) for pair in work.pairs()]
        scaling = _Scaling(work, self.target, {pair.name: (pair, room) for pair, room in rooms if room is not None})
        if not scaling.rooms:
            return module
        triples = scaling.triples() if self.triples else []
        for _ in range(SWEEPS):
            for pair, _ in scaling.rooms.values():
                scaling.move((pair,), (pair_factor(work, pair),))
            for triple in triples:
                scaling.move(triple, triple_factors(work, *triple))
        for name, factor in scaling.factors.items():
            if np.any(factor != 1.0):
                teacher.scaled[name] = teacher.scaled.get(name, 1.0) * factor
        return edited(module, Edits(constants=work.constants(scaling.factors)))


class _Scaling:
    """The channels' factors so far.

    Attributes:
        rooms: The pairs whose activation was seen, by its name, and what their clamps leave.
        factors: Of each activation, by name.
    """

    def __init__(self, work: ChannelPairs, target: Target, rooms: Mapping[str, tuple[ChannelPair, Room]]) -> None:
        self._work = work
        self._target = target
        self.rooms = rooms
        self.factors = {name: np.ones(pair.channels) for name, (pair, _) in rooms.items()}

    def triples(self) -> list[tuple[ChannelPair, ChannelPair]]:
        """Return the pairs that follow each other with nothing but a depthwise layer between them."""
        return [
            (pair, self.rooms[pair.behind[0].name][0])
            for pair, _ in self.rooms.values()
            if len(pair.behind) == 1 and is_depthwise(pair.behind[0]) and pair.behind[0].name in self.rooms
        ]

    def move(self, pairs: Sequence[ChannelPair], wanted: Sequence[Real]) -> None:
        """Multiply the channels of activations as far as their clamps allow, if all layers around them lose less."""
        work = self._work
        layers = {layer.name: layer for pair in pairs for layer in (pair.first, *pair.behind)}
        weights = {name: work.weights[name] for name in layers}
        biases = {name: work.biases[name] for name in layers}
        was = sum(self._error(layer) for layer in layers.values())
        moves = [self._allowed(pair, factor) for pair, factor in zip(pairs, wanted, strict=True)]
        for pair, factor in zip(pairs, moves, strict=True):
            work.scale(pair, factor)
        if sum(self._error(layer) for layer in layers.values()) < _GAIN * was:
            for pair, factor in zip(pairs, moves, strict=True):
                self.factors[pair.name] = self.factors[pair.name] * factor
        else:
            work.weights.update(weights)
            work.biases.update(biases)

    def _allowed(self, pair: ChannelPair, wanted: Real) -> Real:
        """Return how much of a factor the clamp allows, on top of what was done already."""
        done, room = self.factors[pair.name], self.rooms[pair.name][1]
        return np.clip(done * wanted, np.where(room.saturated, 1.0, LEAST_FACTOR), room.upper) / done

    def _error(self, layer: LayerForm) -> float:
        """Return the mean relative error of the channels of a layer at about the best scale for the tensor."""
        weights, scheme = self._work.weights[layer.name], self._target.weight
        least = np.abs(weights).max() / scheme.maximum or 1.0
        scales = [least * ratio for ratio in _RATIOS]
        original = layer.source.result.type.quantization
        if original is not None and original.is_per_tensor and np.array_equal(weights, layer.real_weights()):
            scales.append(original.scale)
        grid = WeightGrid.of_reals(weights)
        return float(grid.relative_errors(np.asarray(scales), scheme).mean(axis=0).min())
