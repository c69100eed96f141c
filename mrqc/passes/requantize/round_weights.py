"""``round-weights``: constants in the codes of the target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, cast

import numpy as np
from numpy.typing import NDArray

from mrqc.calibration import Teacher
from mrqc.ir.data import Data
from mrqc.ir.graph import Module
from mrqc.ir.rewrite import without_dead_statements
from mrqc.ir.types import Element
from mrqc.ops import nn
from mrqc.passes.definition import CalibratedPass, Exactness
from mrqc.passes.requantize.adaptive_rounding import adapted
from mrqc.passes.requantize.block_reconstruction import Loss, reconstructed
from mrqc.passes.requantize.correct_biases import CorrectBiases
from mrqc.passes.requantize.form import (
    Edits,
    Layer,
    Real,
    along_channels,
    edited,
    layers_of,
    limits_of,
    real_constant,
)
from mrqc.passes.requantize.least_squares import choices, solve
from mrqc.passes.requantize.places import Positions, patches, products
from mrqc.passes.requantize.second_moments import Problem, off_grid
from mrqc.passes.requantize.side_by_side import BlockSamples, LayerSamples, change_layers
from mrqc.passes.requantize.structure import rounded_constants
from mrqc.targets import Target


@dataclass(frozen=True)
class RoundWeights(CalibratedPass):
    """Replace each rounding of a constant by codes.

    Attributes:
        target: Whose codes there are.
        method: ``nearest``: to the real value. ``closed-form``: in channels whose weights are not all codes already,
            those with the least squared error of the layer's sums that are not hidden by its clamp; biases are
            corrected on the way, so that each layer sees what it will see. Synthetic samples other than pictures have
            not the second moments of data and leave it at the nearest. ``adaptive``: from there on, in the same
            channels, whether each weight is rounded up or down is learned from the error behind the clamp. ``block``:
            from there on, the same for all layers of a block together, and for their biases, from what leaves the
            block; a layer that is in no block is left as ``adaptive`` leaves it.
        places: How many results of a layer are looked at.
        ridge: How strongly the solution is drawn to the real weights, as a share of the mean second moment.
        reference: What the sums should be: the ``original`` model's, or those of the real weights on this layer's own
            ``input``. The result of a block should be the original's.
        loss: What of the error of a block's result is made small: the mean of its squares or of its absolute values.
        positions: How many results of a channel its bias is corrected by.
        fan_in: Layers with more weights than this for an output channel keep the nearest codes: what it costs to solve
            for n weights grows with their cube, what it serves is greatest where they are few, in depthwise layers.
            0 sets no limit.
        limit: How many samples are looked at, as ``correct-biases`` has it.
        values: Likewise.
    """

    name: ClassVar[str] = "round-weights"
    summary: ClassVar[str] = "turn weights and other constants into codes of the target"
    exactness: ClassVar[Exactness] = "lossy"
    target: Target
    method: Literal["nearest", "closed-form", "adaptive", "block"] = "nearest"
    places: int = 4096
    ridge: float = 0.01
    reference: Literal["original", "input"] = "input"
    loss: Loss = "mse"
    positions: int = 16384
    fan_in: int = 0
    limit: int = 0
    values: int = 0

    def run(self, module: Module, teacher: Teacher) -> Module:
        """Return the module with constants in the target's elements."""
        if self.method != "nearest" and teacher.is_representative:
            changes = self._solved, CorrectBiases(positions=self.positions).corrected
            block_change = self._reconstructed if self.method == "block" else None
            few = teacher.with_few(self.limit, self.values)
            module = change_layers(module, few, "rounding weights", *changes, block_change=block_change)
        return self._nearest(module)

    def _nearest(self, module: Module) -> Module:
        weights = {layer.op.weight.name for layer in layers_of(module)}
        constants: dict[str, nn.Constant] = {}
        values = {value.name: value for value in module.graph.values()}
        for name, source in rounded_constants(module).items():
            element = values[name].type.element
            limits = self._limits if name in weights else self.target.activation.code_range(element.dtype)
            constants[name] = rounded(real_constant(source), element, limits)
        return without_dead_statements(edited(module, Edits(constants=constants)))

    @property
    def _limits(self) -> tuple[int, int]:
        return self.target.weight.minimum, self.target.weight.maximum

    def _solved(self, samples: LayerSamples) -> Mapping[str, nn.Constant]:
        layer = samples.layer
        quantization = layer.element.quantization
        if layer.rounding is None or samples.original is None or isinstance(layer.op, nn.TransposeConv2D):
            return {}
        if samples.original_input is None or quantization is None or not quantization.is_symmetric:
            return {}
        weights = layer.real_weights().reshape(layer.op.weight.type.shape[0], -1)
        if self.fan_in and weights.shape[1] > self.fan_in:
            return {}
        channels = off_grid(weights / layer.weight_scales[:, None], self._limits)
        if not len(channels):
            return {}
        places = Positions.spread((len(samples.input), *layer.statement.result.type.shape[1:]), self.places)
        seen = patches(layer.op, samples.real_input(), places)
        sums = self._original_sums(samples, places, weights) if self.reference == "original" else None
        problem = Problem.of(layer, seen, layer.weight_scales, self.ridge, self._limits, sums)
        own = _own_scale(samples) / float(layer.weight_scales[0])
        channels, factors = choices(channels, len(weights), len(layer.weight_scales) > 1, self.target, own)
        learns = self.method in ("adaptive", "block")
        solution = solve(problem, channels, factors, with_real=learns)
        if learns:
            solution = adapted(problem, solution, channels, layer.real_bias(), limits_of(layer))
        codes = solution.codes.reshape(layer.op.weight.type.shape)
        element = layer.element
        if solution.factor != 1.0:
            element = replace(element, quantization=along_channels(layer.weight_scales * solution.factor))
        return {layer.op.weight.name: nn.Constant(Data.of(codes, element.dtype), element)}

    def _reconstructed(self, samples: BlockSamples) -> Mapping[str, nn.Constant]:
        return reconstructed(samples, self.places, self._limits, self.loss)

    @staticmethod
    def _original_sums(samples: LayerSamples, places: Positions, weights: Real) -> NDArray[np.float32]:
        assert samples.original is not None
        seen = patches(cast(Layer, samples.original.op), samples.real_original_input(), places)
        return products(seen, weights) + samples.layer.real_bias().astype(np.float32)


def _own_scale(samples: LayerSamples) -> float:
    """Return the scale of the original's weights; that of the layer's if these have several, or are no weights."""
    op = None if samples.original is None else samples.original.op
    quantization = op.weight.type.quantization if isinstance(op, nn.Conv2D | nn.FullyConnected) else None
    if quantization is None or not quantization.is_per_tensor:
        return float(samples.layer.weight_scales[0])
    return quantization.scale


def rounded(real: Real, element: Element, limits: tuple[int, int]) -> nn.Constant:
    """Return the constant of an element that is nearest to real values, saturating at ``limits``."""
    assert element.quantization is not None
    codes = element.quantization.quantize(np.asarray(real, np.float64), *limits)
    return nn.Constant(Data.of(codes, element.dtype), element)
