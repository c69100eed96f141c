"""Weights and biases of layers in the scheme of a target, drawn."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from mrqc.ir import DType, Element, Op, Quantization, Value
from mrqc.ops import nn
from mrqc.testing.arrays import code_arrays
from mrqc.testing.contraction import Geometry, geometries, transposed_geometries
from mrqc.testing.draft import Draft, Spread
from mrqc.testing.target_scheme import TargetScheme


@dataclass(frozen=True, slots=True)
class Filters:
    """The parameters of a contraction.

    Attributes:
        geometry: Of a convolution.
        weight: A constant.
        bias: A constant, or None.
        spread: Where the results will lie.
        least_scale: Of the result, for the hardware's shifts.
        greatest_scale: Likewise.
    """

    geometry: Geometry | None
    weight: Value
    bias: Value | None
    spread: Spread
    least_scale: float
    greatest_scale: float


def drawn_filters(draft: Draft, scheme: TargetScheme, op: type[Op], operand: Value) -> Filters:
    """Draw weights and perhaps a bias for a convolution or a fully connected layer of ``operand``."""
    geometry, shape = None, (draft.draw(st.integers(1, draft.limits.channels)), operand.type.shape[-1])
    if op is nn.Conv2D:
        geometry = draft.draw(geometries(operand, draft.limits))
        shape = geometry.weight_shape
    elif op is nn.TransposeConv2D:
        geometry = draft.draw(transposed_geometries(operand, draft.limits))
        shape = geometry.weight_shape
    codes, element = _weights(draft, scheme, op, shape)
    assert element.quantization is not None
    assert operand.type.quantization is not None
    real = element.quantization.dequantize(codes).reshape(shape[0], -1)
    source = draft.spreads[operand]
    means = real.sum(axis=1) * source.mean
    deviations = np.sqrt(np.square(real).sum(axis=1)) * source.deviation
    grid = [operand.type.quantization.scale * scale for scale in element.quantization.scales]
    bias = None
    if draft.draw(st.booleans()):
        percent = draft.draw(code_arrays((shape[0],), -100, 100)) / 100
        bias_codes, bias_element = _bias(draft, scheme, percent * deviations, grid)
        assert bias_element.quantization is not None
        means = means + bias_element.quantization.dequantize(bias_codes)
        bias = draft.constant(nn.Constant, bias_codes, bias_element)
    low, high = (means - 2.5 * deviations).min(), (means + 2.5 * deviations).max()
    least, greatest = (0.0, math.inf)
    if scheme.target.requantize.only_shifts:
        shifts = scheme.target.requantize.shift
        least, greatest = max(grid) * 2.0 ** shifts[0], min(grid) * 2.0 ** shifts[1]
    weight = draft.constant(nn.Constant, codes, element)
    return Filters(geometry, weight, bias, Spread(float(low), float(high)), least, greatest)


def _weights(
    draft: Draft, scheme: TargetScheme, op: type[Op], shape: tuple[int, ...]
) -> tuple[NDArray[np.int64], Element]:
    """Draw codes, and scales that keep the deviation of the activations."""
    weight = scheme.target.weight
    depth = math.prod(shape[1:])
    codes = draft.draw(code_arrays(shape, weight.minimum, weight.maximum))
    gains = st.sampled_from((1.0, 0.5, 1.7))
    if weight.is_per_channel_for(op.mnemonic):
        spread = np.sqrt(np.square(codes).reshape(shape[0], -1).mean(axis=1))
        drawn = draft.draw(st.lists(gains, min_size=shape[0], max_size=shape[0]))
        # Channels of small codes keep a scale near the others'.
        wanted = np.array(drawn) / (np.maximum(spread, 20.0) * math.sqrt(depth))
        scales = [scheme.weight_scale(scale) for scale in wanted.tolist()]
        return codes, Element(weight.storage, Quantization.per_axis(scales, [0] * shape[0], 0))
    zero_point = 0
    if not weight.symmetric:
        zero_point = (weight.minimum + weight.maximum + 1) // 2 + draft.draw(st.integers(-40, 40))
    spread = max(float(np.sqrt(np.square(codes - zero_point).mean())), 1.0)
    scale = scheme.weight_scale(draft.draw(gains) / (spread * math.sqrt(depth)))
    return codes, Element.per_tensor(weight.storage, scale, zero_point)


def _bias(
    draft: Draft, scheme: TargetScheme, real: NDArray[np.float64], grid: list[float]
) -> tuple[NDArray[np.int64], Element]:
    """Return a bias on the grid of the products, or where the hardware shifts it, on one some bits away."""
    bias = scheme.target.bias
    shift = 0 if bias.shift is None else draft.draw(st.sampled_from((0, 2, 5, bias.shift[1])))
    axis = None if len(grid) == 1 else 0
    quantization = Quantization(tuple(unit * 2.0**shift for unit in grid), (0,) * len(grid), axis)
    limit = 1 << (bias.bits - 1)
    return quantization.quantize(real, -limit, limit - 1), Element(DType(bias.dtype), quantization)
