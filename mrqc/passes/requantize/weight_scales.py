"""Which scale the weights of a layer are rounded to."""

from __future__ import annotations

import math

import numpy as np

from mrqc.ir.types import Element
from mrqc.passes.requantize.form import LayerForm, Real, along_channels
from mrqc.passes.requantize.weights import WeightGrid
from mrqc.targets import WeightScheme


def weight_element(layer: LayerForm, scheme: WeightScheme) -> Element:
    """Return what a layer's weights are rounded to at min-max scales, or, with a zero point, on their own grid.

    A zero point shifts the codes of the file into those of the scheme where there are no more of them; else the scale
    spreads the range of the weights over all codes.
    """
    if scheme.symmetric:
        per_channel = scheme.is_per_channel_for(layer.op.mnemonic)
        return Element(scheme.storage, along_channels(min_max_scales(layer.real_weights(), scheme, per_channel)))
    grid, reals = layer.grid, layer.real_weights()
    low, high = min(float(reals.min()), 0.0), max(float(reals.max()), 0.0)
    codes = scheme.maximum - scheme.minimum
    scale = grid.base_scale
    if not grid.is_uniform or layer.source.result.type.quantization is None or high - low > scale * (codes + 0.5):
        scale = (high - low) / codes or 1.0 / codes
    return Element.per_tensor(scheme.storage, scale, scheme.minimum - round(low / scale))


def min_max_scales(reals: Real, scheme: WeightScheme, per_channel: bool) -> Real:
    """Return the least scale that clips nothing: ``max |W| / c_max`` (docs/requantization.md equation 3)."""
    greatest = np.abs(reals).reshape(len(reals), -1).max(axis=1)
    if not per_channel:
        greatest = greatest.max(keepdims=True)
    return np.where(greatest > 0, greatest, 1.0) / scheme.maximum


def own_scales(weights: WeightGrid, per_channel: bool) -> Real:
    """Return the scale of the grid that the weights are on already; of several, the largest for a whole tensor."""
    return weights.scales * weights.finer if per_channel else np.array([weights.base_scale])


def shift_scales(weights: WeightGrid, ratio: float, scheme: WeightScheme, per_channel: bool) -> Real:
    """Return, of the scales ``ratio * 2**n``, the one (for each channel) with the least error, clipping included.

    Args:
        weights: The weights on their own grid.
        ratio: The result's scale over the input's: the multiplier of such a weight scale is a power of two.
        scheme: The codes that there are.
        per_channel: Whether each output channel has its own scale.
    """
    octaves = np.append(weights.useful_octaves(scheme, per_channel), 1.0)
    own = weights.scales[:, None] * weights.finer if per_channel else weights.base_scale
    candidates = ratio * np.exp2(np.rint(np.log2(own / ratio)) + octaves)
    return _best(weights, candidates, scheme, per_channel)


def free_scales(weights: WeightGrid, scheme: WeightScheme, per_channel: bool) -> Real:
    """Return the scale (for each channel) with the least error, clipping included; the file's own wins a tie."""
    ratios = np.concatenate(([1.0], 1.0 - 0.01 * np.arange(1, 60), 1.0 + 0.01 * np.arange(1, 110)))
    if per_channel:
        return _best(weights, weights.scales[:, None] * weights.finer * ratios[None, :], scheme, per_channel)
    low = min(math.log2(weights.scales.min() * weights.finer / weights.base_scale), 0.0)
    if low < 0.0:
        ratios = np.concatenate((ratios, np.exp2(np.arange(low, 0.0, 1 / 16))))
    candidates = weights.base_scale * ratios
    if not weights.is_shared:
        # No grid to keep: the scale that clips nothing may lie between two candidates and be better than both.
        candidates = np.append(candidates, (weights.reach.max() or weights.base_scale) / scheme.maximum)
    return _best(weights, candidates, scheme, per_channel)


def better_scales(weights: WeightGrid, options: list[Real], scheme: WeightScheme, per_channel: bool) -> Real:
    """Return, of several scales, the one (for each channel) with the least error; the first wins a tie."""
    return _best(weights, np.stack(options, axis=-1) if per_channel else np.concatenate(options), scheme, per_channel)


def _best(weights: WeightGrid, candidates: Real, scheme: WeightScheme, per_channel: bool) -> Real:
    errors = weights.relative_errors(candidates, scheme)
    if per_channel:
        best = np.argmin(errors, axis=1)
        return np.broadcast_to(candidates, errors.shape)[np.arange(len(best)), best].copy()
    return np.atleast_1d(candidates[int(np.argmin(errors.mean(axis=0)))])


def coarse_enough(scales: Real, bias: Real, bits: int) -> Real:
    """Return each scale, raised by octaves until its bias takes half of the register at the most.

    Exporters give a dead channel a scale of next to nothing; its bias would be astronomical on that grid, and its
    weights are nothing beside the bias on a coarser one.

    Args:
        scales: Of the weights, one or one for each channel.
        bias: Real biases over the input's scale.
        bits: Width of the bias register.
    """
    reach = np.abs(bias) if len(scales) > 1 else np.abs(bias).max(initial=0.0, keepdims=True)
    needed = np.maximum(reach / scales / 2.0 ** (bits - 2), 1.0)
    return scales * np.exp2(np.ceil(np.log2(needed)))
