"""Cases of ONNX Runtime's operators on codes."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn
from onnx_single_ops import SingleOnnxCase, SingleOp, onnx_cases


@onnx_cases("QLinearAdd", "u8", "i8")
def qlinear_add(draw: DrawFn, dtype: str) -> SingleOnnxCase:
    return _binary(SingleOp.new(draw, dtype), "QLinearAdd")


def _binary(op: SingleOp, op_type: str) -> SingleOnnxCase:
    first, second = op.draw(_pairs_of_shapes())
    left, right = op.scale(), op.scale()
    product = left * right if op_type == "QLinearMul" else (left + right) / 2
    result = product * np.float32(2.0 ** op.draw(st.floats(-1, 5)))
    lhs = [op.input("a", first), *op.scheme(left)]
    rhs = [op.input("b", second), *op.scheme(right)]
    return op.node(op_type, *lhs, *rhs, *op.scheme(result))


@st.composite
def _pairs_of_shapes(draw: DrawFn) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return two shapes that broadcast, equal ones most often."""
    shape = tuple(draw(st.lists(st.integers(1, 7), min_size=1, max_size=4)))
    if draw(st.booleans()):
        return (1, *shape[1:]), (1, *shape[1:])
    shape = (1, *shape[1:])
    other = tuple(extent if draw(st.booleans()) else 1 for extent in shape)
    return (shape, other) if draw(st.booleans()) else (other, shape)


@onnx_cases("QLinearAveragePool", "u8", "i8")
def qlinear_average_pool(draw: DrawFn, dtype: str) -> SingleOnnxCase:
    op = SingleOp.new(draw, dtype)
    kernel = [op.integer(1, 4), op.integer(1, 4)]
    pads = [op.integer(0, kernel[axis % 2] - 1) for axis in range(4)]
    size = [op.integer(kernel[axis], 8) for axis in range(2)]
    scale = op.scale()
    x = [op.input("x", (1, op.integer(1, 9), *size)), *op.scheme(scale)]
    return op.node(
        "QLinearAveragePool",
        *x,
        *op.scheme(scale * np.float32(2.0 ** draw(st.one_of(st.just(0), st.floats(-1, 1))))),
        kernel_shape=kernel,
        pads=pads,
        strides=[op.integer(1, 3), op.integer(1, 3)],
        count_include_pad=op.integer(0, 1),
    )


@onnx_cases("QLinearAveragePool of a whole image", "u8", "i8")
def qlinear_average_pool_of_all(draw: DrawFn, dtype: str) -> SingleOnnxCase:
    """The runtime adds up its codes, as it does for a global pool, whatever the strides."""
    op = SingleOp.new(draw, dtype)
    size = (op.integer(1, 9), op.integer(1, 9))
    scale = op.scale()
    x = [op.input("x", (1, op.integer(1, 9), *size)), *op.scheme(scale)]
    result = op.scheme(scale * np.float32(2.0 ** draw(st.one_of(st.just(0), st.floats(-1, 1)))))
    strides = draw(st.sampled_from(((1, 1), size, (2, 3))))
    return op.node("QLinearAveragePool", *x, *result, kernel_shape=size, strides=strides)


@onnx_cases("QLinearGlobalAveragePool", "u8", "i8")
def qlinear_global_average_pool(draw: DrawFn, dtype: str) -> SingleOnnxCase:
    op = SingleOp.new(draw, dtype)
    scale = op.scale()
    x = [op.input("x", (1, *(op.integer(1, 9) for _ in range(3)))), *op.scheme(scale)]
    result = op.scheme(scale * np.float32(2.0 ** draw(st.one_of(st.just(0), st.floats(-1, 1)))))
    return op.node("QLinearGlobalAveragePool", *x, *result, channels_last=op.integer(0, 1))


@onnx_cases("QLinearSoftmax", "u8", "i8")
def qlinear_softmax(draw: DrawFn, dtype: str) -> SingleOnnxCase:
    op = SingleOp.new(draw, dtype)
    shape = (1, *draw(st.lists(st.integers(2, 9), min_size=1, max_size=3)))
    x = [op.input("x", shape), *op.scheme(op.scale(-7, 0))]
    if draw(st.booleans()):
        result = (
            op.graph.constant(np.float32(2.0**-8)),
            op.graph.constant(np.asarray(op.limits.min, op.codes(()).dtype)),
        )
    else:
        result = op.scheme(op.scale(-8, -6))
    opset = draw(st.sampled_from((11, 13)))
    axis = op.integer(1, len(shape) - 1)
    return op.node("QLinearSoftmax", *x, *result, axis=axis, opset=opset)


@onnx_cases("MaxPool", "u8", "i8")
def max_pool(draw: DrawFn, dtype: str) -> SingleOnnxCase:
    op = SingleOp.new(draw, dtype)
    kernel = [op.integer(1, 4), op.integer(1, 4)]
    pads = [op.integer(0, kernel[axis % 2] - 1) for axis in range(4)]
    size = [op.integer(kernel[axis], 8) for axis in range(2)]
    x = op.input("x", (1, op.integer(1, 9), *size))
    pooled = op.graph.node("MaxPool", x, kernel_shape=kernel, pads=pads, strides=[op.integer(1, 3), op.integer(1, 3)])
    # What the codes mean; the runtime pools them as they are.
    return op.finish_with_reals(pooled)


@onnx_cases("QuantizeLinear", "u8", "i8")
def quantize_linear(draw: DrawFn, dtype: str) -> SingleOnnxCase:
    """From one scale to another: DequantizeLinear and QuantizeLinear."""
    op = SingleOp.new(draw, dtype)
    x = op.input("x", (1, *draw(st.lists(st.integers(1, 40), min_size=1, max_size=2))))
    scale = op.scale()
    reals = op.graph.node("DequantizeLinear", x, *op.scheme(scale))
    return op.node("QuantizeLinear", reals, *op.scheme(scale * np.float32(2.0 ** draw(st.floats(-2, 2)))), domain="")


@onnx_cases("QLinearMul", "u8", "i8")
def qlinear_mul(draw: DrawFn, dtype: str) -> SingleOnnxCase:
    return _binary(SingleOp.new(draw, dtype), "QLinearMul")


@onnx_cases("QLinearSigmoid", "u8", "i8")
def qlinear_sigmoid(draw: DrawFn, dtype: str) -> SingleOnnxCase:
    op = SingleOp.new(draw, dtype)
    x = [op.input("x", (1, *draw(st.lists(st.integers(1, 40), min_size=1, max_size=2)))), *op.scheme(op.scale(-7, -2))]
    return op.node("QLinearSigmoid", *x, *op.scheme(op.scale(-9, -6)))


@onnx_cases("QLinearLeakyRelu", "u8", "i8")
def qlinear_leaky_relu(draw: DrawFn, dtype: str) -> SingleOnnxCase:
    op = SingleOp.new(draw, dtype)
    scale = op.scale()
    x = [op.input("x", (1, *draw(st.lists(st.integers(1, 40), min_size=1, max_size=2)))), *op.scheme(scale)]
    alpha = draw(st.floats(0, 1, width=32))
    return op.node("QLinearLeakyRelu", *x, *op.scheme(scale * np.float32(2.0 ** draw(st.floats(-1, 1)))), alpha=alpha)


@onnx_cases("QLinearConcat", "u8", "i8")
def qlinear_concat(draw: DrawFn, dtype: str) -> SingleOnnxCase:
    op = SingleOp.new(draw, dtype)
    shape = (1, *draw(st.lists(st.integers(1, 6), min_size=1, max_size=3)))
    axis = op.integer(1, len(shape) - 1)
    scale = op.scale()
    inputs: list[str] = []
    for index in range(op.integer(1, 4)):
        extent = op.integer(1, 5)
        operand = op.input(f"x{index}", (*shape[:axis], extent, *shape[axis + 1 :]))
        inputs += [operand, *op.scheme(scale * np.float32(2.0 ** draw(st.one_of(st.just(0), st.floats(-1, 1)))))]
    return op.node("QLinearConcat", *op.scheme(scale), *inputs, axis=axis)


@onnx_cases("Sub", "u8", "i8")
def subtraction(draw: DrawFn, dtype: str) -> SingleOnnxCase:
    """Between DequantizeLinear and QuantizeLinear: there is no kernel on codes."""
    op = SingleOp.new(draw, dtype)
    first, second = op.draw(_pairs_of_shapes())
    left, right = op.scale(), op.scale()
    lhs = op.graph.node("DequantizeLinear", op.input("a", first), *op.scheme(left))
    rhs = op.graph.node("DequantizeLinear", op.input("b", second), *op.scheme(right))
    return op.node("QuantizeLinear", op.graph.node("Sub", lhs, rhs), *op.scheme(left + right), domain="")


@onnx_cases("DequantizeLinear", "u8", "i8")
def dequantize_linear(draw: DrawFn, dtype: str) -> SingleOnnxCase:
    op = SingleOp.new(draw, dtype)
    return op.finish_with_reals(op.input("x", (1, *draw(st.lists(st.integers(1, 40), min_size=1, max_size=2)))))
