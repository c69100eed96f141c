"""``correct-weights``, ``merge-channels``, ``fold-rounding-error``, ``clip-weights``: what weights are rounded to."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from mrqc.ir.data import Data
from mrqc.ir.graph import Module
from mrqc.ir.types import Element
from mrqc.ops import nn
from mrqc.passes.definition import Exactness, Pass
from mrqc.passes.requantize.form import Edits, LayerForm, Real, along_channels, edited, float_constant, layers_of
from mrqc.passes.requantize.weight_scales import (
    better_scales,
    coarse_enough,
    free_scales,
    min_max_scales,
    own_scales,
    shift_scales,
)
from mrqc.passes.requantize.zero_points import offset_of
from mrqc.targets import Target


@dataclass(frozen=True)
class _ScalesWeights(Pass):
    """Gives the rounding of each layer's weights another scale."""

    exactness: ClassVar[Exactness] = "lossy"
    target: Target

    def __call__(self, module: Module) -> Module:
        """Return the module with new weight scales."""
        elements: dict[str, Element] = {}
        for layer in layers_of(module):
            if layer.rounding is None or not self.target.weight.symmetric:
                continue
            scales = self._scales(layer)
            if scales is None:
                continue
            bits = min(self.target.bias.bits, 32)
            if self.target.bias.shift is None and (len(scales) > 1 or bits < 32):
                scales = coarse_enough(scales, _bias_reach(layer) / layer.input_scale, bits)
            elements[layer.op.weight.name] = replace(layer.element, quantization=along_channels(scales))
        return edited(module, Edits(elements))

    def _per_channel(self, layer: LayerForm) -> bool:
        return self.target.weight.is_per_channel_for(layer.op.mnemonic)

    @abstractmethod
    def _scales(self, layer: LayerForm) -> Real | None:
        """Return the new scales of a layer's weights, None to leave it alone."""

    def _least_error_scales(self, layer: LayerForm) -> Real:
        """Return the scales of the least error, clipping included; those of shifts where the target has no others."""
        scheme, per_channel = self.target.weight, self._per_channel(layer)
        if self.target.requantize.only_shifts:
            return shift_scales(layer.grid, layer.output_scale / layer.input_scale, scheme, per_channel)
        return free_scales(layer.grid, scheme, per_channel)


def _bias_reach(layer: LayerForm) -> Real:
    """Return the greatest magnitude that each real bias can have, the zero points that it will absorb included."""
    weights = layer.real_weights()
    sums = np.abs(weights.reshape(len(weights), -1).sum(axis=1))
    before, after = abs(offset_of(layer.op.input.type.element)), abs(offset_of(layer.op.element))
    return np.abs(layer.real_bias()) + before * sums + after


@dataclass(frozen=True)
class CorrectWeights(_ScalesWeights):
    """Round the real weights once, on the grid that they are on already if that costs less than the min-max one.

    The integers of the file less their zero point are codes of the target at the same scale, but for a few that are
    clipped; any other scale rounds every weight a second time (MRQ, arXiv 2308.01867, corrects weights from their real
    values; docs/requantization.md equation 4).
    """

    name: ClassVar[str] = "correct-weights"
    summary: ClassVar[str] = "keep the grid that the file's weights are on"

    def _scales(self, layer: LayerForm) -> Real:
        scheme, per_channel = self.target.weight, self._per_channel(layer)
        grid = layer.grid
        options = [own_scales(grid, per_channel), min_max_scales(layer.real_weights(), scheme, per_channel)]
        return better_scales(grid, options, scheme, per_channel)


@dataclass(frozen=True)
class MergeChannels(_ScalesWeights):
    """Give layers whose channels have scales of their own the one of least error where the target has only one.

    The grids of most channels are lost then whatever the scale is, so that it need not be that of the largest weight:
    a smaller one saturates the few channels that are large and serves the others (docs/requantization.md equation 9).
    Weights on one grid for all channels are left to ``correct-weights``, targets with a scale for each channel alone.
    """

    name: ClassVar[str] = "merge-channels"
    summary: ClassVar[str] = "choose one scale by error for weights whose channels have one each"

    def _scales(self, layer: LayerForm) -> Real | None:
        if self._per_channel(layer) or layer.grid.is_shared:
            return None
        return self._least_error_scales(layer)


@dataclass(frozen=True)
class FoldRoundingError(_ScalesWeights):
    """Move what a multiplier is off its nearest power of two into the scale of the weights, and round them anew.

    ``M = P 2^-n`` becomes ``2^-n`` with ``s_w* = s_w / P`` (MRQ, arXiv 2308.01867; docs/requantization.md equation 5).
    Nothing changes on a target with free multipliers.

    Attributes:
        fold: Whether weights and biases are rounded anew. Without it their codes stay and P is lost: what a multiplier
            that is rounded to the nearest shift does, for comparison.
    """

    name: ClassVar[str] = "fold-rounding-error"
    summary: ClassVar[str] = "make every multiplier a power of two by the scale of the weights"
    fold: bool = True

    def __call__(self, module: Module) -> Module:
        """Return the module with weight scales at which every multiplier is a power of two."""
        if self.fold or not self.target.requantize.only_shifts:
            return super().__call__(module)
        return self._relabelled(module)

    def _relabelled(self, module: Module) -> Module:
        elements: dict[str, Element] = {}
        constants: dict[str, nn.Constant] = {}
        for layer in layers_of(module):
            if layer.rounding is None:
                continue
            scales = self._scales(layer)
            factors = scales / layer.weight_scales
            element = replace(layer.element, quantization=along_channels(scales))
            assert layer.element.quantization is not None
            limits = self.target.weight.minimum, self.target.weight.maximum
            codes = layer.element.quantization.quantize(layer.real_weights(), *limits)
            elements[layer.op.weight.name] = element
            constants[layer.source.result.name] = nn.Constant(Data.of(codes, element.dtype), element)
            if layer.bias is not None:
                constants[layer.bias.result.name] = float_constant(layer.real_bias() * factors)
        return edited(module, Edits(elements, constants=constants))

    def _scales(self, layer: LayerForm) -> Real:
        if not self.target.requantize.only_shifts:
            return layer.weight_scales
        ratio = layer.output_scale / layer.input_scale
        return ratio * np.exp2(np.rint(np.log2(layer.weight_scales / ratio)))


@dataclass(frozen=True)
class ClipWeights(_ScalesWeights):
    """Choose the scale of the weights by their error, clipping included, not by their range.

    A smaller scale than the range asks for saturates outliers and serves all other weights better (MRQ's weight
    clipping; docs/requantization.md equation 9). On a target that only shifts, it is smaller or larger by octaves.
    """

    name: ClassVar[str] = "clip-weights"
    summary: ClassVar[str] = "choose the scale of weights by error, saturating outliers"

    def _scales(self, layer: LayerForm) -> Real:
        return self._least_error_scales(layer)
