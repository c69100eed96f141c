"""``rescale-outliers``: channels with weights that would be cut off are scaled until these fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mrqc.calibration import Teacher
from mrqc.calibration.observers import ValueStatistics
from mrqc.ir.graph import Module
from mrqc.passes.definition import CalibratedPass, Exactness
from mrqc.passes.requantize.channel_pairs import ChannelPair, ChannelPairs, Room, columns, is_depthwise, room_of, rows
from mrqc.passes.requantize.form import Edits, LayerForm, Real, edited, have_one_scale
from mrqc.targets import Target

LEAST_LOSS = 1e-3
"""Share of the energy of a channel's weights that is cut off, from which on something is done."""
_SPREAD = 8.0
"""How many times what is cut off must exceed the noise of coarser codes: least squares makes up for most of it."""
_MOST_OCTAVES = 2
"""What a channel is scaled by at the most."""


@dataclass(frozen=True)
class RescaleOutliers(CalibratedPass):
    """Scale a channel by a power of two where a weight of it lies beyond the codes, and the other side by its inverse.

    Weights that keep their file's own scale have a few outliers that do not fit, and one of these may be a channel: the
    centre of a depthwise kernel. Halving the channel in front of or behind the clamp rounds its own weights once more
    and none else; the other side of the activation is doubled and stays on its grid. So it is done only where that side
    has room, where the clamp is out of reach, and where the activation's coarser codes cost less than the outlier
    (docs/requantization.md equation 17).

    Attributes:
        target: Its weights' codes. Nothing is done where each channel has its own scale.
        limit: How many samples are looked at, as ``correct-biases`` has it.
        values: Likewise.
    """

    name: ClassVar[str] = "rescale-outliers"
    summary: ClassVar[str] = "halve or double channels whose weights would be cut off"
    exactness: ClassVar[Exactness] = "lossy"
    target: Target
    limit: int = 0
    values: int = 0

    def run(self, module: Module, teacher: Teacher) -> Module:
        """Return the module with scaled channels; the teacher learns by how much."""
        if not teacher.is_representative or not self.target.weight.symmetric:
            return module
        teacher = teacher.with_few(self.limit, self.values)
        work = ChannelPairs(module, self.target)
        factors: dict[str, Real] = {}
        for pair in work.pairs():
            statistics = teacher.statistics.get(pair.name)
            room = room_of(pair, statistics)
            if room is None or statistics is None:
                continue
            factor = np.exp2(self._octaves(work, pair, room, statistics))
            if np.any(factor != 1.0):
                work.scale(pair, factor)
                factors[pair.name] = factor
                teacher.scaled[pair.name] = teacher.scaled.get(pair.name, 1.0) * factor
        return edited(module, Edits(constants=work.constants(factors)))

    def _octaves(self, work: ChannelPairs, pair: ChannelPair, room: Room, statistics: ValueStatistics) -> Real:
        """Return the exponent of two that each channel between the layers of a pair is scaled by."""
        first = _Codes.of(pair.first, work.weights[pair.name], self.target)
        behind = [_Codes.of(layer, work.weights[layer.name], self.target) for layer in pair.behind]
        columns_ = np.max([codes.columns for codes in behind], axis=0)
        # Weights behind that are cut off: the channel grows, and these shrink.
        up = np.ceil(np.log2(np.maximum(columns_, 1.0)))
        lost = np.max([codes.lost_columns for codes in behind], axis=0)
        grows = (lost > LEAST_LOSS) & (up > 0) & (up <= _MOST_OCTAVES)
        grows &= (first.rows * np.exp2(up) <= 1.0) & (room.upper >= np.exp2(up))
        # Weights in front that are cut off: the channel shrinks, and its codes get coarser.
        down = np.ceil(np.log2(np.maximum(first.rows, 1.0)))
        shrinks = ~grows & ~room.saturated & (down > 0) & (down <= _MOST_OCTAVES)
        shrinks &= columns_ * np.exp2(down) <= 1.0
        noise = pair.first.output_scale**2 / 12.0 / np.maximum(statistics.variance, 1e-30)
        # Codes on the original's grid repeat its rounding; coarser ones add theirs to that.
        before = -1.0 if have_one_scale(statistics.type.element, pair.first.op.element) else 1.0
        shrinks &= first.lost_rows > np.maximum(LEAST_LOSS, _SPREAD * (np.exp2(2.0 * down) - before) * noise)
        return np.where(grows, up, 0.0) - np.where(shrinks, down, 0.0)


@dataclass(frozen=True)
class _Codes:
    """Weights over the greatest code, and what is cut off.

    Attributes:
        rows: The greatest of each output channel; 1 is the last that fits.
        columns: The greatest of each input channel.
        lost_rows: What share of the energy of each output channel is cut off.
        lost_columns: The greatest share of an output channel's energy that is cut off in each input channel.
    """

    rows: Real
    columns: Real
    lost_rows: Real
    lost_columns: Real

    @classmethod
    def of(cls, layer: LayerForm, weights: Real, target: Target) -> _Codes:
        """Return that of a layer's weights at the scale that they will be rounded to."""
        codes = weights / (float(layer.weight_scales[0]) * (target.weight.maximum + 0.5))
        flat = codes.reshape(len(codes), -1)
        energy = np.maximum((flat**2).sum(axis=1), 1e-30)
        beyond = np.maximum(np.abs(codes) - 1.0, 0.0) ** 2
        lost = beyond / energy.reshape(-1, *(1,) * (codes.ndim - 1))
        lost_rows = lost.reshape(len(codes), -1).sum(axis=1)
        by_column = lost_rows if is_depthwise(layer) else lost.reshape(-1, codes.shape[-1]).max(axis=0)
        return cls(rows(codes), columns(layer, codes), lost_rows, by_column)
