"""``correct-biases``: each layer's mean result becomes the original's, channel by channel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mrqc.calibration import Teacher
from mrqc.ir.graph import Module
from mrqc.ops import nn
from mrqc.passes.definition import CalibratedPass, Exactness
from mrqc.passes.requantize.form import Real, float_constant, limits_of
from mrqc.passes.requantize.side_by_side import LayerSamples, change_layers, positions_of

STEPS = 8
"""Newton steps; the guarded ones of the first few channels need most of them."""
GREATEST_STEP = 1.0
"""Of a Newton step, in units of the result's range over six: 1 for a ReLU6."""
LEAST_SLOPE = 0.05
"""Where fewer results are inside the clamp, the step is damped as if so many were."""
LEAST_ACTIVE = 0.002
"""Where fewer results are inside the clamp, a bias has next to no influence and is left alone."""


@dataclass(frozen=True)
class CorrectBiases(CalibratedPass):
    """Solve, for each output channel, ``E[clip(z + d)] = E[clip(y)]`` for the change d of the bias.

    z is the layer's sum as it is now, behind layers that are corrected already; y the original's result, after its
    activation function. Before the activation function the correction would move what saturates
    (docs/requantization.md equation 12; Nagel et al. 2019 correct linear sums).

    Attributes:
        positions: How many results of a channel are looked at, over all samples.
        limit: How many samples are looked at, evenly over all; 0 stands for all of them.
        values: How many values the activations of these samples may have: a large model sees fewer of them, but not
            less than 4. 0 sets no limit.
        synthetic: Whether to do it on any synthetic samples, where no data are given. Synthetic pictures always serve;
            the means of other signals are so far from those of data that this does more harm than good.
    """

    name: ClassVar[str] = "correct-biases"
    summary: ClassVar[str] = "make the mean result of every channel that of the original, behind its activation"
    exactness: ClassVar[Exactness] = "lossy"
    positions: int = 16384
    limit: int = 0
    values: int = 0
    synthetic: bool = False

    def run(self, module: Module, teacher: Teacher) -> Module:
        """Return the module with corrected biases, real numbers."""
        if not (teacher.is_representative or self.synthetic):
            return module
        teacher = teacher.with_few(self.limit, self.values)
        return change_layers(module, teacher, "correcting biases", self.corrected)

    def corrected(self, samples: LayerSamples) -> Mapping[str, nn.Constant]:
        """Return the new bias of a layer."""
        layer = samples.layer
        if samples.original_output is None or layer.bias is None or samples.is_exact():
            return {}
        sums = samples.sums()
        rows = sums.reshape(-1, sums.shape[-1])
        chosen = positions_of(len(rows), self.positions)
        wanted = samples.target(chosen).mean(axis=0)
        shift = bias_shift(rows[chosen].astype(np.float32), wanted, limits_of(layer))
        return {layer.bias.result.name: float_constant(layer.real_bias() + shift)}


def bias_shift(sums: NDArray[np.float32], wanted: Real, limits: tuple[float, float]) -> Real:
    """Return d with ``mean(clip(sums + d, *limits)) = wanted`` for each channel, by guarded Newton steps.

    Args:
        sums: ``[positions, channels]``.
        wanted: ``[channels]``.
        limits: The clamp.
    """
    low, high = limits
    bound = GREATEST_STEP * (high - low) / 6.0
    shift = np.zeros(sums.shape[1])
    for _ in range(STEPS):
        moved = sums + shift.astype(np.float32)
        active = ((moved > low) & (moved < high)).mean(axis=0)
        error = wanted - np.clip(moved, low, high).mean(axis=0, dtype=np.float64)
        step = np.clip(error / np.maximum(active, LEAST_SLOPE), -bound, bound)
        shift += np.where(active < LEAST_ACTIVE, 0.0, step)
    return shift
