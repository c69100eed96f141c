"""Cases of the operators that sum up products of codes."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn
from numpy.typing import NDArray
from onnx_single_ops import SingleOnnxCase, SingleOp, onnx_cases


def _weight(op: SingleOp, shape: tuple[int, ...], channels: int) -> tuple[list[str], NDArray[Any]]:
    """Return codes, scales and zero points of a weight, for the tensor or for each output channel."""
    random = op.random()
    is_signed = op.dtype == "i8" or bool(op.integer(0, 1))
    dtype: Any = np.int8 if is_signed else np.uint8
    limits = np.iinfo(dtype)
    # Without VNNI sums of two products of codes saturate at 16 bits, unless weights have 7 bits.
    low, high = (-64, 63) if is_signed else (limits.min, limits.max)
    codes = random.integers(low, high, shape, dtype, endpoint=True)
    count = channels if op.draw(st.booleans()) else 1
    scales = (2.0 ** random.uniform(-9, -4, count)).astype(np.float32)
    zero_point = 0 if is_signed else op.integer(0, 255)
    zero_points = np.full(count, zero_point, dtype)
    if count == 1:
        scales, zero_points = scales.reshape(()), zero_points.reshape(())
    return [op.graph.constant(array) for array in (codes, scales, zero_points)], scales


def _result(op: SingleOp, input_scale: Any, weight_scales: NDArray[Any], terms: int) -> tuple[str, str]:
    """Return a scheme that most sums fit."""
    reach = float(input_scale) * float(np.max(weight_scales)) * np.sqrt(terms) * 100
    return op.scheme(reach * 2.0 ** op.draw(st.floats(-1, 1)))


def _bias(op: SingleOp, channels: int) -> str:
    return op.graph.constant(op.random().integers(-20000, 20000, channels, np.int32))


@onnx_cases("QLinearConv", "u8", "i8")
def qlinear_conv(draw: DrawFn, dtype: str) -> SingleOnnxCase:
    op = SingleOp.new(draw, dtype)
    kernel = [op.integer(1, 3), op.integer(1, 3)]
    dilations = [op.integer(1, 2), op.integer(1, 2)]
    depth, multiple = op.integer(1, 5), op.integer(1, 3)
    groups = draw(st.sampled_from((1, 1, 2, depth)))
    inputs = depth if groups in (1, depth) else groups * depth
    outputs = groups * multiple
    pads = [op.integer(0, 1) for _ in range(4)]
    size = [op.integer((kernel[axis] - 1) * dilations[axis] + 1, 8) for axis in range(2)]
    scale = op.scale()
    x = [op.input("x", (1, inputs, *size)), *op.scheme(scale)]
    weight, scales = _weight(op, (outputs, inputs // groups, *kernel), outputs)
    result = _result(op, scale, scales, inputs // groups * kernel[0] * kernel[1])
    bias = [_bias(op, outputs)] if draw(st.booleans()) else []
    strides = [op.integer(1, 2), op.integer(1, 2)]
    attributes = {"pads": pads, "strides": strides, "dilations": dilations, "group": groups}
    return op.node("QLinearConv", *x, *weight, *result, *bias, domain="", **attributes)


@onnx_cases("QLinearMatMul", "u8", "i8")
def qlinear_matmul(draw: DrawFn, dtype: str) -> SingleOnnxCase:
    op = SingleOp.new(draw, dtype)
    depth, columns = op.integer(1, 40), op.integer(1, 20)
    scale = op.scale()
    rows = tuple(draw(st.lists(st.integers(1, 5), min_size=0, max_size=2)))
    x = [op.input("x", (1, *rows, depth)), *op.scheme(scale)]
    weight, scales = _weight(op, (depth, columns), columns)
    return op.node("QLinearMatMul", *x, *weight, *_result(op, scale, scales, depth), domain="")


@onnx_cases("QGemm", "u8", "i8")
def qgemm(draw: DrawFn, dtype: str) -> SingleOnnxCase:
    op = SingleOp.new(draw, dtype)
    depth, columns = op.integer(1, 40), op.integer(1, 20)
    is_transposed = op.integer(0, 1)
    scale = op.scale()
    x = [op.input("x", (1, depth)), *op.scheme(scale)]
    shape = (columns, depth) if is_transposed else (depth, columns)
    weight, scales = _weight(op, shape, columns)
    bias = _bias(op, columns) if draw(st.booleans()) else ""
    result = _result(op, scale, scales, depth)
    return op.node("QGemm", *x, *weight, bias, *result, transB=is_transposed)
