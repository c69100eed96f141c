"""How convolutions and fully connected layers are drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from mrqc.ir import DType, Element, Quantization, Value
from mrqc.ops import int as int_ops
from mrqc.ops import nn
from mrqc.testing.arrays import code_arrays, pairs
from mrqc.testing.draft import (
    ACCUMULATOR_BUDGET,
    ROW_LIMIT,
    Draft,
    Limits,
    Spread,
    is_activation,
    is_activation_image,
    is_image,
    strategy_for,
)
from mrqc.testing.requantize import requantized
from mrqc.testing.types import label_scales, single_precision


@dataclass(frozen=True, slots=True)
class Geometry:
    """What a convolution is beside its numbers."""

    weight_shape: tuple[int, int, int, int]
    strides: tuple[int, int]
    padding: tuple[int, int, int, int]
    dilations: tuple[int, int]
    groups: int

    @property
    def attributes(self) -> dict[str, Any]:
        """The attributes of both dialects' convolutions."""
        return {
            "strides": self.strides,
            "padding": self.padding,
            "dilations": self.dilations,
            "groups": self.groups,
        }


@st.composite
def geometries(draw: st.DrawFn, operand: Value, limits: Limits) -> Geometry:
    """Return a strategy for convolutions of ``operand``: any window that fits, or one that keeps the shape.

    A convolution that keeps the shape is what residual additions are built of.
    """
    _, height, width, channels = operand.type.shape
    keeps_shape = draw(st.booleans())
    # Depthwise convolutions are as common as all other grouped ones.
    divisors = [n for n in range(2, channels) if channels % n == 0]
    groups = draw(st.one_of(st.sampled_from((1, channels)), st.sampled_from((1, *divisors))))
    multiples = st.integers(1, max(1, limits.channels // groups))
    outputs = channels if keeps_shape else groups * draw(multiples)
    kernel = draw(pairs(1, 3, 2 if keeps_shape else 1))
    dilations = draw(pairs(1, 2))
    if keeps_shape:
        strides = (1, 1)
        top, left = (size // 2 * dilation for size, dilation in zip(kernel, dilations, strict=True))
        padding = (top, left, top, left)
    else:
        strides = draw(pairs(1, 3))
        top, bottom = draw(_borders(height, (kernel[0] - 1) * dilations[0] + 1))
        left, right = draw(_borders(width, (kernel[1] - 1) * dilations[1] + 1))
        padding = (top, left, bottom, right)
    return Geometry((outputs, *kernel, channels // groups), strides, padding, dilations, groups)


@st.composite
def _borders(draw: st.DrawFn, size: int, extent: int) -> tuple[int, int]:
    """Return a strategy for the padding before and after an axis so that at least one window fits."""
    before = draw(st.integers(0, 2))
    missing = max(0, extent - size - before)
    return before, missing + draw(st.integers(0, 2))


@st.composite
def transposed_geometries(draw: st.DrawFn, operand: Value, limits: Limits) -> Geometry:
    """Return a strategy for transposed convolutions of ``operand`` that leave something of the result."""
    _, height, width, channels = operand.type.shape
    groups = draw(st.sampled_from((1, 1, channels)))
    outputs = groups * draw(st.integers(1, max(1, limits.channels // groups)))
    kernel, dilations, strides = draw(pairs(1, 3)), draw(pairs(1, 2)), draw(pairs(1, 3))
    cuts: list[tuple[int, int]] = []
    for size, taps, dilation, stride in zip((height, width), kernel, dilations, strides, strict=True):
        extent = min((size - 1) * stride, 2 * limits.spatial - 3) + (taps - 1) * dilation + 1
        before = draw(st.integers(0, min(3, extent - 1)))
        cuts.append((before, draw(st.integers(-2, min(3, extent - 1 - before)))))
    (top, bottom), (left, right) = cuts
    padding = (top, left, bottom, right)
    return Geometry((outputs, *kernel, channels // groups), strides, padding, dilations, groups)


def _is_matrix(limits: Limits, value: Value) -> bool:
    return is_activation(limits, value) and value.type.rank == 2 and value.type.shape[1] <= ROW_LIMIT


@strategy_for(nn.Conv2D, accepts=is_image)
def nn_conv2d(draft: Draft, operand: Value) -> Value:
    """Append a convolution with weights as an importer folds them."""
    geometry = draft.draw(geometries(operand, draft.limits))
    weight, bias, spread = _nn_filters(draft, operand, geometry.weight_shape)
    clamp = draft.clamp_for(spread)
    spread = spread.clamped(clamp)
    element = draft.element_for(spread)
    op = nn.Conv2D(operand, weight, bias, **geometry.attributes, clamp=clamp, element=element)
    return draft.emit(op, spread)


@strategy_for(nn.TransposeConv2D, accepts=is_image)
def nn_transpose_conv2d(draft: Draft, operand: Value) -> Value:
    """Append a transposed convolution."""
    geometry = draft.draw(transposed_geometries(operand, draft.limits))
    weight, bias, spread = _nn_filters(draft, operand, geometry.weight_shape)
    clamp = draft.clamp_for(spread)
    spread = spread.clamped(clamp)
    element = draft.element_for(spread)
    op = nn.TransposeConv2D(operand, weight, bias, **geometry.attributes, clamp=clamp, element=element)
    return draft.emit(op, spread)


@strategy_for(nn.FullyConnected, accepts=_is_matrix)
def nn_fully_connected(draft: Draft, operand: Value) -> Value:
    """Append a fully connected layer with weights as an importer folds them."""
    outputs = draft.draw(st.integers(1, draft.limits.channels))
    weight, bias, spread = _nn_filters(draft, operand, (outputs, operand.type.shape[1]))
    clamp = draft.clamp_for(spread)
    spread = spread.clamped(clamp)
    element = draft.element_for(spread)
    return draft.emit(nn.FullyConnected(operand, weight, bias, clamp=clamp, element=element), spread)


def _nn_filters(draft: Draft, operand: Value, shape: tuple[int, ...]) -> tuple[Value, Value | None, Spread]:
    """Draw weights and perhaps a bias; say where the results will lie."""
    codes, element = _nn_weights(draft, shape)
    assert element.quantization is not None
    real = element.quantization.dequantize(codes).reshape(shape[0], -1)
    weight = draft.constant(nn.Constant, codes, element)
    source = draft.spreads[operand]
    means = real.sum(axis=1) * source.mean
    deviations = np.sqrt(np.square(real).sum(axis=1)) * source.deviation
    bias = None
    if draft.draw(st.booleans()):
        percent = draft.draw(code_arrays((shape[0],), -100, 100))
        bias_codes, bias_element = _nn_bias(percent / 100 * deviations, operand, element.quantization)
        means = means + percent / 100 * deviations
        bias = draft.constant(nn.Constant, bias_codes, bias_element)
    # Some 99 % of a normal distribution lie within 2.5 deviations.
    low, high = (means - 2.5 * deviations).min(), (means + 2.5 * deviations).max()
    return weight, bias, Spread(float(low), float(high))


def _nn_weights(draft: Draft, shape: tuple[int, ...]) -> tuple[NDArray[np.int64], Element]:
    """Draw weight codes, and scales that keep the deviation of the activations."""
    depth = int(np.prod(shape[1:]))
    gains = st.sampled_from((1.0, 0.5, 1.7))
    if draft.scheme.per_axis:
        codes = draft.draw(code_arrays(shape, -127, 127))
        spread = np.sqrt(np.square(codes).reshape(shape[0], -1).mean(axis=1))
        gain = np.array(draft.draw(st.lists(gains, min_size=shape[0], max_size=shape[0])))
        free = gain / (np.maximum(spread, 1.0) * np.sqrt(depth))
        per_axis = [single_precision(scale) for scale in free]
        return codes, Element(DType.I8, Quantization.per_axis(per_axis, [0] * shape[0], 0))
    # Wider activations meet weights of 8 bits all the same.
    dtype = DType.I8 if draft.scheme.activation is DType.I16 else draft.scheme.activation
    codes = draft.draw(code_arrays(shape, dtype.minimum, dtype.maximum))
    zero_point = 0
    if not draft.scheme.symmetric:
        middle = (dtype.minimum + dtype.maximum + 1) // 2
        zero_point = middle + draft.draw(st.integers(-40, 40))
    spread = np.sqrt(np.square(codes - zero_point).mean())
    scale = draft.draw(gains) / (max(float(spread), 1.0) * np.sqrt(depth))
    return codes, Element.per_tensor(dtype, single_precision(scale), zero_point)


def _nn_bias(real: NDArray[np.float64], operand: Value, weights: Quantization) -> tuple[NDArray[np.int64], Element]:
    """Return a bias on the grid of the products, its scale rounded to single precision as files have it."""
    assert operand.type.quantization is not None
    grid = [single_precision(operand.type.quantization.scale * scale) for scale in weights.scales]
    axis = None if weights.is_per_tensor else 0
    quantization = Quantization(tuple(grid), (0,) * len(grid), axis)
    dtype = DType.I64 if operand.type.dtype is DType.I16 else DType.I32
    # What 32 bits hold is enough for either.
    return quantization.quantize(real, DType.I32.minimum, DType.I32.maximum), Element(dtype, quantization)


@strategy_for(int_ops.Conv2D, accepts=is_activation_image)
def int_conv2d(draft: Draft, operand: Value) -> Value:
    """Append a convolution whose accumulator fits 32 bits."""
    return _int_convolution(draft, operand, draft.draw(geometries(operand, draft.limits)), int_ops.Conv2D)


@strategy_for(int_ops.TransposeConv2D, accepts=is_activation_image)
def int_transpose_conv2d(draft: Draft, operand: Value) -> Value:
    """Append a transposed convolution whose accumulator fits 32 bits."""
    geometry = draft.draw(transposed_geometries(operand, draft.limits))
    return _int_convolution(draft, operand, geometry, int_ops.TransposeConv2D)


def _int_convolution(
    draft: Draft, operand: Value, geometry: Geometry, kind: type[int_ops.Conv2D | int_ops.TransposeConv2D]
) -> Value:
    filters = _int_filters(draft, operand, geometry.weight_shape)
    requantize, element = draft.draw(requantized(filters.typical, geometry.weight_shape[0]))
    op = kind(
        operand,
        filters.weight,
        filters.bias,
        **geometry.attributes,
        **filters.zero_points,
        requantize=requantize,
        element=element,
    )
    return draft.emit(op)


@strategy_for(int_ops.FullyConnected, accepts=_is_matrix)
def int_fully_connected(draft: Draft, operand: Value) -> Value:
    """Append a fully connected layer whose accumulator fits 32 bits."""
    outputs = draft.draw(st.integers(1, draft.limits.channels))
    filters = _int_filters(draft, operand, (outputs, operand.type.shape[1]))
    requantize, element = draft.draw(requantized(filters.typical, outputs))
    op = int_ops.FullyConnected(
        operand, filters.weight, filters.bias, **filters.zero_points, requantize=requantize, element=element
    )
    return draft.emit(op)


@dataclass(frozen=True, slots=True)
class _IntFilters:
    """Weights and perhaps a bias, with a magnitude that the accumulator hardly exceeds."""

    weight: Value
    bias: Value | None
    input_zero_point: int
    weight_zero_point: int
    typical: int

    @property
    def zero_points(self) -> dict[str, Any]:
        """The attributes of both ops."""
        return {"input_zero_point": self.input_zero_point, "weight_zero_point": self.weight_zero_point}


def _int_filters(draft: Draft, operand: Value, shape: tuple[int, ...]) -> _IntFilters:
    """Draw weights, signed without a zero point most often, and perhaps a bias."""
    dtype = operand.type.dtype
    input_zero_point = draft.draw(zero_points(dtype))
    reach = max(input_zero_point - dtype.minimum, dtype.maximum - input_zero_point)
    weight_dtype = draft.draw(st.sampled_from((DType.I8, DType.I8, DType.U8)))
    weight_zero_point = draft.draw(zero_points(weight_dtype))
    largest = ACCUMULATOR_BUDGET // (reach * int(np.prod(shape[1:]))) - 1
    least = max(weight_dtype.minimum, weight_zero_point - largest)
    greatest = min(weight_dtype.maximum, weight_zero_point + largest)
    codes = draft.draw(code_arrays(shape, least, greatest))
    weight = draft.constant(int_ops.Constant, codes, Element.per_tensor(weight_dtype, draft.draw(label_scales())))
    # Two deviations of the sum, as if all inputs were extreme and their signs random.
    deviation = np.sqrt(np.square(codes - weight_zero_point).reshape(shape[0], -1).sum(axis=1).max())
    typical = int(2 * deviation * reach)
    bias = None
    if draft.draw(st.booleans()):
        bias, most = _int_bias(draft, shape[0], typical)
        typical += most
    return _IntFilters(weight, bias, input_zero_point, weight_zero_point, typical)


def zero_points(dtype: DType) -> st.SearchStrategy[int]:
    """Return a strategy for what is subtracted from codes: 0 as often as not, and always from 16 bits."""
    if dtype is DType.I16:
        return st.just(0)
    ends = st.sampled_from((dtype.minimum, dtype.maximum))
    return st.one_of(st.just(0), st.just(0), st.integers(dtype.minimum, dtype.maximum), ends)


def _int_bias(draft: Draft, outputs: int, typical: int) -> tuple[Value, int]:
    """Draw a bias, and return it with its greatest magnitude."""
    # Mostly of the size of the products; at times as large as the accumulator allows.
    reach = draft.draw(st.sampled_from((*(min(typical // 4, ACCUMULATOR_BUDGET - 1),) * 5, ACCUMULATOR_BUDGET - 1)))
    codes = draft.draw(code_arrays((outputs,), -reach, reach))
    dtype = draft.draw(st.sampled_from((DType.I32, DType.I32, DType.I64)))
    return draft.constant(int_ops.Constant, codes, Element.per_tensor(dtype, draft.draw(label_scales()))), reach


def _is_stack_of_matrices(limits: Limits, value: Value) -> bool:
    return is_activation(limits, value) and value.type.rank >= 2 and max(value.type.shape[-2:]) <= ROW_LIMIT


@dataclass(frozen=True, slots=True)
class _Matrices:
    """The second operand of matrix products: its shape, and which of both operands are adjoint."""

    shape: tuple[int, ...]
    adjoint_lhs: bool
    adjoint_rhs: bool

    @property
    def depth(self) -> int:
        """Length of the dot products."""
        return self.shape[-1 if self.adjoint_rhs else -2]


def _second_matrices(draft: Draft, operand: Value) -> _Matrices:
    adjoint_lhs, adjoint_rhs = draft.draw(st.booleans()), draft.draw(st.booleans())
    depth, columns = operand.type.shape[-2 if adjoint_lhs else -1], draft.draw(st.integers(1, draft.limits.channels))
    batch = tuple(extent if draft.draw(st.booleans()) else 1 for extent in operand.type.shape[:-2])
    if draft.draw(st.booleans()):
        batch = ()
    return _Matrices((*batch, *((columns, depth) if adjoint_rhs else (depth, columns))), adjoint_lhs, adjoint_rhs)


@strategy_for(nn.BatchMatMul, accepts=_is_stack_of_matrices)
def nn_batch_matmul(draft: Draft, operand: Value) -> Value:
    """Append products with constant matrices."""
    matrices = _second_matrices(draft, operand)
    dtype = operand.type.dtype
    codes = draft.draw(code_arrays(matrices.shape, dtype.minimum, dtype.maximum))
    zero_point = 0 if draft.scheme.symmetric else draft.draw(st.integers(dtype.minimum, dtype.maximum))
    deviation = float(np.sqrt(np.square(codes - float(zero_point)).mean()))
    scale = single_precision(1.0 / (max(deviation, 1.0) * np.sqrt(matrices.depth)))
    other = draft.constant(nn.Constant, codes, Element.per_tensor(dtype, scale, zero_point))
    source = draft.spreads[operand]
    reach = max(-source.low, source.high)
    spread = Spread(-reach, reach)
    clamp = draft.clamp_for(spread)
    spread = spread.clamped(clamp)
    op = nn.BatchMatMul(
        operand,
        other,
        matrices.adjoint_lhs,
        matrices.adjoint_rhs,
        clamp=clamp,
        element=draft.element_for(spread),
    )
    return draft.emit(op, spread)


@strategy_for(int_ops.BatchMatMul, accepts=_is_stack_of_matrices)
def int_batch_matmul(draft: Draft, operand: Value) -> Value:
    """Append products with constant matrices, whose accumulators fit 32 bits."""
    matrices = _second_matrices(draft, operand)
    lhs_dtype, rhs_dtype = operand.type.dtype, draft.draw(st.sampled_from((DType.I8, DType.U8)))
    lhs_zero_point, rhs_zero_point = draft.draw(zero_points(lhs_dtype)), draft.draw(zero_points(rhs_dtype))
    reach = max(lhs_zero_point - lhs_dtype.minimum, lhs_dtype.maximum - lhs_zero_point)
    largest = ACCUMULATOR_BUDGET // (reach * matrices.depth) - 1
    least, greatest = max(rhs_dtype.minimum, rhs_zero_point - largest), min(rhs_dtype.maximum, rhs_zero_point + largest)
    codes = draft.draw(code_arrays(matrices.shape, least, greatest))
    other = draft.constant(int_ops.Constant, codes, Element.per_tensor(rhs_dtype, draft.draw(label_scales())))
    typical = int(2 * reach * np.sqrt(np.square(codes - rhs_zero_point).mean() * matrices.depth))
    requantize, element = draft.draw(requantized(typical))
    op = int_ops.BatchMatMul(
        operand,
        other,
        matrices.adjoint_lhs,
        matrices.adjoint_rhs,
        lhs_zero_point=lhs_zero_point,
        rhs_zero_point=rhs_zero_point,
        requantize=requantize,
        element=element,
    )
    return draft.emit(op)
