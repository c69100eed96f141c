"""Cases of the operators that multiply and accumulate."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn
from numpy.typing import NDArray
from single_ops import SingleOpCase, case, operator_cases
from tflite_files import NUMPY, SAME, Scales, TfliteFile, options
from tflite_strategies import draw_scales, fused_activations, paddings, window_size

BIAS_DTYPES = {"i8": "i32", "u8": "i32", "i16": "i64"}
GREATEST_RATIO = {"i8": 7, "u8": 7, "i16": 2}
"""Exponents of two; beyond, the runtime's own 32 bits overflow."""


@dataclass(frozen=True)
class Filters:
    """Constant weights and perhaps biases, in a file, and the quantization of the result."""

    weight: int
    bias: int | None
    result: Scales


def draw_filters(
    draw: DrawFn,
    file: TfliteFile,
    dtype: str,
    rows: Scales,
    shape: tuple[int, ...],
    axis: int,
    ratios: tuple[float, float] = (-14.0, 0.0),
    *,
    bias_is_optional: bool = False,
) -> Filters:
    """Add weights of that shape with their output channels along ``axis``.

    Args:
        draw: Of the strategy.
        file: Receives them.
        dtype: Of the operand; its weights are u8 or i8.
        rows: Quantization of the operand.
        shape: Of the weights.
        axis: Of the output channels.
        ratios: Exponents between which the ratio of scales lies most often.
        bias_is_optional: Whether the runtime does without biases.
    """
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    outputs = shape[axis]
    weight_dtype = "u8" if dtype == "u8" else "i8"
    limits = np.iinfo(NUMPY[weight_dtype])
    weight = random.integers(limits.min, limits.max, shape, NUMPY[weight_dtype], endpoint=True)
    per_channel = dtype != "u8" and draw(st.booleans())
    count = outputs if per_channel else 1
    scales = np.exp2(random.uniform(-8, -4 if draw(st.booleans()) else 0, count)).astype(np.float32)
    zero_point = draw(st.integers(0, 255)) if dtype == "u8" else 0
    # Ratios that shift to the left, and ratios that are flushed to zero, are rare in models.
    least, greatest = draw(st.sampled_from((ratios, ratios, (-33.0, -14.0), (-1.0, GREATEST_RATIO[dtype] - 3.0))))
    ratio = 2.0 ** draw(st.floats(least, greatest))
    result_scale = max(rows.scales[0] * float(scales.max()) / ratio, 1e-30)
    result = draw_scales(draw, dtype)
    assert result is not None
    return Filters(
        file.constant(weight, Scales(tuple(map(float, scales)), (zero_point,) * count, axis if per_channel else 0)),
        _bias(draw, file, dtype, random, rows.scales[0] * scales, outputs, bias_is_optional),
        Scales.one(result_scale, result.zero_points[0]),
    )


def _bias(
    draw: DrawFn,
    file: TfliteFile,
    dtype: str,
    random: np.random.Generator,
    scales: NDArray[Any],
    outputs: int,
    is_optional: bool,
) -> int | None:
    """Add biases at the scales of the sums, small ones or large, or none."""
    if is_optional and draw(st.integers(0, 3)) == 3:
        return None
    reach = draw(st.sampled_from((1, 1 << 10, 1 << 16, 1 << 20)))
    codes = random.integers(-reach, reach, outputs).astype(NUMPY[BIAS_DTYPES[dtype]])
    return file.constant(codes, Scales(tuple(map(float, scales)), (0,) * len(scales)))


@operator_cases("CONV_2D", "i8", "u8", "i16")
def conv_2d(draw: DrawFn, dtype: str) -> SingleOpCase:
    groups = draw(st.sampled_from((1, 1, 1, 2)))
    depth, group_outputs = draw(st.integers(1, 5)), draw(st.integers(1, 5))
    file = TfliteFile()
    return _convolution(draw, dtype, file, depth * groups, groups * group_outputs, depth)


@operator_cases("DEPTHWISE_CONV_2D", "i8", "u8", "i16")
def depthwise_conv_2d(draw: DrawFn, dtype: str) -> SingleOpCase:
    channels, multiplier = draw(st.integers(1, 5)), draw(st.sampled_from((1, 1, 2, 3)))
    return _convolution(draw, dtype, TfliteFile(), channels, channels * multiplier, None)


def _convolution(
    draw: DrawFn, dtype: str, file: TfliteFile, channels: int, outputs: int, depth: int | None
) -> SingleOpCase:
    """Return a case with weights of that depth, or a depthwise one."""
    height, width = (draw(st.integers(1, 7)) for _ in range(2))
    kernel = tuple(draw(st.integers(1, 3)) for _ in range(2))
    strides = tuple(draw(st.integers(1, 3)) for _ in range(2))
    dilations = tuple(draw(st.sampled_from((1, 1, 2, 3))) for _ in range(2))
    padding = draw(paddings)
    sizes = [
        window_size(size, taps, stride, padding, dilation)
        for size, taps, stride, dilation in zip((height, width), kernel, strides, dilations, strict=True)
    ]
    assume(min(sizes) > 0)
    rows = draw_scales(draw, dtype)
    assert rows is not None
    operand = file.input(dtype, (1, height, width, channels), rows)
    depthwise = depth is None
    shape = (1, *kernel, outputs) if depthwise else (outputs, *kernel, depth)
    filters = draw_filters(draw, file, dtype, rows, shape, 3 if depthwise else 0)
    fields = {"depth_multiplier": outputs // channels} if depthwise else {}
    file.operator(
        "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D",
        [operand, filters.weight, filters.bias],
        [file.output(dtype, (1, *sizes, outputs), filters.result)],
        options(
            "DepthwiseConv2DOptions" if depthwise else "Conv2DOptions",
            padding=padding,
            stride_h=strides[0],
            stride_w=strides[1],
            dilation_h_factor=dilations[0],
            dilation_w_factor=dilations[1],
            fused_activation_function=draw(fused_activations),
            **fields,
        ),
        version=3,
    )
    return case(draw, file)


@operator_cases("FULLY_CONNECTED", "i8", "u8", "i16")
def fully_connected(draw: DrawFn, dtype: str) -> SingleOpCase:
    outputs, depth = draw(st.integers(1, 9)), draw(st.integers(1, 40))
    leading = tuple(draw(st.lists(st.integers(1, 3), min_size=1, max_size=3)))
    keeps = draw(st.booleans())
    rows = draw_scales(draw, dtype)
    assert rows is not None
    file = TfliteFile()
    operand = file.input(dtype, (*leading, depth), rows)
    filters = draw_filters(draw, file, dtype, rows, (outputs, depth), 0, bias_is_optional=True)
    shape = (*leading, outputs) if keeps else (math.prod(leading), outputs)
    file.operator(
        "FULLY_CONNECTED",
        [operand, filters.weight, filters.bias],
        [file.output(dtype, shape, filters.result)],
        options("FullyConnectedOptions", keep_num_dims=keeps, fused_activation_function=draw(fused_activations)),
        version=7,
    )
    return case(draw, file)


@operator_cases("TRANSPOSE_CONV", "i8", "u8", "i16")
def transpose_conv(draw: DrawFn, dtype: str) -> SingleOpCase:
    height, width, depth, outputs = (draw(st.integers(1, 5)) for _ in range(4))
    kernel = tuple(draw(st.integers(1, 4)) for _ in range(2))
    strides = tuple(draw(st.integers(1, 3)) for _ in range(2))
    padding = draw(paddings)
    sizes = [
        size * stride - draw(st.integers(0, stride - 1)) if padding == SAME else (size - 1) * stride + taps
        for size, stride, taps in zip((height, width), strides, kernel, strict=True)
    ]
    rows = draw_scales(draw, dtype)
    assert rows is not None
    file = TfliteFile()
    operand = file.input(dtype, (1, height, width, depth), rows)
    filters = draw_filters(draw, file, dtype, rows, (outputs, *kernel, depth), 0, bias_is_optional=True)
    shape = (1, *sizes, outputs)
    file.operator(
        "TRANSPOSE_CONV",
        [file.integers(shape), filters.weight, operand, *([] if filters.bias is None else [filters.bias])],
        [file.output(dtype, shape, filters.result)],
        options(
            "TransposeConvOptions",
            padding=padding,
            stride_h=strides[0],
            stride_w=strides[1],
            fused_activation_function=draw(fused_activations),
        ),
        version=4,
    )
    return case(draw, file)


@operator_cases("BATCH_MATMUL", "i8", "i16")
def batch_matmul(draw: DrawFn, dtype: str) -> SingleOpCase:
    rows, depth, columns = (draw(st.integers(1, 9)) for _ in range(3))
    batch = tuple(draw(st.lists(st.integers(1, 3), max_size=2)))
    other_batch = tuple(extent if draw(st.booleans()) else 1 for extent in batch)
    adj_x, adj_y = draw(st.booleans()), draw(st.booleans())
    lhs, rhs, result = (draw_scales(draw, dtype) for _ in range(3))
    assert lhs is not None
    assert rhs is not None
    assert result is not None
    file = TfliteFile()
    shape = (*other_batch, *((columns, depth) if adj_y else (depth, columns)))
    operand = file.input(dtype, (*batch, *((depth, rows) if adj_x else (rows, depth))), lhs)
    if draw(st.booleans()):
        random, limits = np.random.default_rng(draw(st.integers(0, 99))), np.iinfo(NUMPY[dtype])
        other = file.constant(random.integers(limits.min, limits.max, shape, NUMPY[dtype], endpoint=True), rhs)
    else:
        other = file.input(dtype, shape, rhs)
    ratio = 2.0 ** (draw(st.floats(-12, 0)) - (8 if dtype == "i16" else 0))
    scales = Scales.one(lhs.scales[0] * rhs.scales[0] / ratio, result.zero_points[0])
    file.operator(
        "BATCH_MATMUL",
        [operand, other],
        [file.output(dtype, (*batch, rows, columns), scales)],
        options("BatchMatMulOptions", adj_x=adj_x, adj_y=adj_y),
        version=3,
    )
    return case(draw, file)
