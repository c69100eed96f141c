"""Cases of operators between DequantizeLinear and QuantizeLinear: on codes, or on floats where there is no kernel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn
from onnx_models import means
from onnx_single_ops import NUMPY, SingleOnnxCase, SingleOp, onnx_cases


def _reals(op: SingleOp, name: str, shape: tuple[int, ...], scale: Any) -> str:
    return op.graph.node("DequantizeLinear", op.input(name, shape), *op.scheme(scale))


def _finish(op: SingleOp, reals: str, scale: Any) -> SingleOnnxCase:
    return op.node("QuantizeLinear", reals, *op.scheme(scale), domain="")


def _near(op: SingleOp, scale: Any) -> np.float32:
    """Return a scale of about the same size, now and then the same one."""
    return np.float32(scale * np.float32(2.0 ** op.draw(st.one_of(st.just(0), st.floats(-1, 1)))))


def _shape(op: SingleOp, least: int = 1, most: int = 4) -> tuple[int, ...]:
    return (1, *op.draw(st.lists(st.integers(1, 7), min_size=least - 1, max_size=most - 1)))


def _two_shapes(op: SingleOp) -> tuple[tuple[int, ...], tuple[int, ...]]:
    shape = _shape(op, 2)
    other = tuple(extent if op.draw(st.booleans()) else 1 for extent in shape)
    return (shape, other) if op.draw(st.booleans()) else (other, shape)


def _binary(op_type: str) -> Callable[[DrawFn, str], SingleOnnxCase]:
    def drawn(draw: DrawFn, dtype: str) -> SingleOnnxCase:
        op = SingleOp.new(draw, dtype)
        first, second = _two_shapes(op)
        left, right = op.scale(), op.scale()
        reals = op.graph.node(op_type, _reals(op, "a", first, left), _reals(op, "b", second, right))
        return _finish(op, reals, left * right * 64 if op_type == "Mul" else left + right)

    return drawn


for _op_type in ("Add", "Mul", "Max", "Min"):
    onnx_cases(_op_type, "u8", "i8")(_binary(_op_type))


@onnx_cases("PRelu", "u8", "i8")
def prelu(draw: DrawFn, dtype: str) -> SingleOnnxCase:
    op = SingleOp.new(draw, dtype)
    shape = _shape(op, 4)
    scale = op.scale()
    slope = op.graph.constant(op.codes((shape[1], 1, 1)))
    slopes = op.graph.node("DequantizeLinear", slope, *op.scheme(op.scale(-9, -6)))
    return _finish(op, op.graph.node("PRelu", _reals(op, "x", shape, scale), slopes), _near(op, scale))


def _unary(op_type: str, result: tuple[float, float], oldest: int = 13, **bounds: tuple[float, float]) -> None:
    """Register a function of one tensor: logarithms of its results' scales, and bounds of its attributes."""

    def drawn(draw: DrawFn, dtype: str) -> SingleOnnxCase:
        op = SingleOp.new(draw, dtype, oldest)
        attributes: dict[str, Any] = {name: draw(st.floats(*limits, width=32)) for name, limits in bounds.items()}
        reals = op.graph.node(op_type, _reals(op, "x", _shape(op), op.scale(-7, -2)), **attributes)
        return _finish(op, reals, op.scale(*result))

    onnx_cases(op_type, "u8", "i8")(drawn)


_unary("Relu", (-7, -2))
_unary("Sigmoid", (-9, -6))
_unary("Tanh", (-8, -6))
_unary("HardSwish", (-7, -2), oldest=14)
_unary("Abs", (-7, 1))
_unary("Exp", (-8, -3))
_unary("Gelu", (-7, -2), oldest=20)


def _of_positive(op_type: str) -> Callable[[DrawFn, str], SingleOnnxCase]:
    """Return cases of a function that has no value below zero, where the runtimes quantize a NaN."""

    def drawn(draw: DrawFn, dtype: str) -> SingleOnnxCase:
        op = SingleOp.new(draw, dtype)
        scheme = op.graph.scheme(op.scale(-7, -2), op.limits.min, NUMPY[dtype])
        reals = op.graph.node("DequantizeLinear", op.input("x", _shape(op)), *scheme)
        return _finish(op, op.graph.node(op_type, reals), op.scale(-7, -2))

    return drawn


for _op_type in ("Log", "Sqrt"):
    onnx_cases(_op_type, "u8", "i8")(_of_positive(_op_type))
_unary("HardSigmoid", (-9, -6), alpha=(0.125, 1), beta=(0, 1))
_unary("Elu", (-7, -2), alpha=(0.125, 2))
_unary("LeakyRelu", (-7, -2), alpha=(0, 1))


@onnx_cases("Clip", "u8", "i8")
def clip(draw: DrawFn, dtype: str) -> SingleOnnxCase:
    op = SingleOp.new(draw, dtype)
    scale = op.scale()
    low, high = sorted((draw(st.floats(-100, 100, width=32)), draw(st.floats(-100, 100, width=32))))
    bounds = (op.graph.constant(np.float32(bound) * scale) for bound in (low, high))
    return _finish(op, op.graph.node("Clip", _reals(op, "x", _shape(op), scale), *bounds), _near(op, scale))


@onnx_cases("Concat", "u8", "i8")
def concat(draw: DrawFn, dtype: str) -> SingleOnnxCase:
    op = SingleOp.new(draw, dtype)
    shape = _shape(op, 2)
    axis = op.integer(1, len(shape) - 1)
    scale = op.scale()
    operands = [
        _reals(op, f"x{index}", (*shape[:axis], op.integer(1, 5), *shape[axis + 1 :]), _near(op, scale))
        for index in range(op.integer(1, 4))
    ]
    return _finish(op, op.graph.node("Concat", *operands, axis=axis), scale)


@onnx_cases("Softmax", "u8", "i8")
def softmax(draw: DrawFn, dtype: str) -> SingleOnnxCase:
    op = SingleOp.new(draw, dtype)
    shape = (1, *draw(st.lists(st.integers(2, 9), min_size=1, max_size=3)))
    x = _reals(op, "x", shape, op.scale(-7, 0))
    return _finish(op, op.graph.node("Softmax", x, axis=op.integer(1, len(shape) - 1)), op.scale(-8, -6))


@onnx_cases("Pad", "u8", "i8")
def pad(draw: DrawFn, dtype: str) -> SingleOnnxCase:
    op = SingleOp.new(draw, dtype)
    scale = op.scale()
    shape = _shape(op, 4)
    pads = [0, 0, op.integer(0, 3), op.integer(0, 3)] * 2
    number = op.graph.constant(np.float32(draw(st.floats(-100, 100, width=32))) * scale)
    mode = draw(st.sampled_from(("constant", "edge")))
    padded = op.graph.node("Pad", _reals(op, "x", shape, scale), op.graph.constant(np.array(pads)), number, mode=mode)
    return _finish(op, padded, _near(op, scale))


@onnx_cases("Resize nearest", "u8", "i8")
def resize_nearest(draw: DrawFn, dtype: str) -> SingleOnnxCase:
    nearest = draw(st.sampled_from(("floor", "ceil", "round_prefer_floor", "round_prefer_ceil")))
    return _resize(SingleOp.new(draw, dtype), mode="nearest", nearest_mode=nearest)


@onnx_cases("Resize linear", "u8", "i8")
def resize_linear(draw: DrawFn, dtype: str) -> SingleOnnxCase:
    return _resize(SingleOp.new(draw, dtype), mode="linear")


@onnx_cases("MatMul", "u8", "i8")
def computed_matmul(draw: DrawFn, dtype: str) -> SingleOnnxCase:
    """Of two computed stacks of matrices, as in attention."""
    op = SingleOp.new(draw, dtype)
    stack = tuple(draw(st.lists(st.integers(1, 3), max_size=2)))
    rows, depth, columns = (op.integer(1, 9) for _ in range(3))
    left, right = op.scale(), op.scale()
    lhs = _reals(op, "a", (1, *stack, rows, depth), left)
    rhs = _reals(op, "b", (1, *stack, depth, columns), right)
    return _finish(op, op.graph.node("MatMul", lhs, rhs), left * right * np.float32(2.0 ** draw(st.floats(4, 8))))


@onnx_cases("ReduceMean", "u8", "i8")
def reduce_mean(draw: DrawFn, dtype: str) -> SingleOnnxCase:
    """Over height and width; sizes with which channels begin anywhere in a vector."""
    op = SingleOp.new(draw, dtype)
    shape = (1, op.integer(1, 9), op.integer(1, 12), op.integer(1, 12))
    scale = op.scale()
    return _finish(op, means(op.graph, _reals(op, "x", shape, scale), op.integer(0, 1)), _near(op, scale))


@onnx_cases("AveragePool", "u8", "i8")
def average_pool(draw: DrawFn, dtype: str) -> SingleOnnxCase:
    """Of the whole image every other time."""
    op = SingleOp.new(draw, dtype)
    size = (op.integer(1, 9), op.integer(1, 9))
    strides = (op.integer(1, 3), op.integer(1, 3))
    kernel = size if draw(st.booleans()) else tuple(op.integer(1, extent) for extent in size)
    scale = op.scale()
    reals = _reals(op, "x", (1, op.integer(1, 9), *size), scale)
    return _finish(op, op.graph.node("AveragePool", reals, kernel_shape=kernel, strides=strides), _near(op, scale))


@onnx_cases("GlobalAveragePool", "u8", "i8")
def global_average_pool(draw: DrawFn, dtype: str) -> SingleOnnxCase:
    op = SingleOp.new(draw, dtype)
    scale = op.scale()
    shape = (1, *(op.integer(1, 9) for _ in range(3)))
    return _finish(op, op.graph.node("GlobalAveragePool", _reals(op, "x", shape, scale)), _near(op, scale))


def _resize(op: SingleOp, **attributes: str) -> SingleOnnxCase:
    shape = (1, *(op.integer(1, 7) for _ in range(3)))
    scale = op.scale()
    coordinates = ("asymmetric", "half_pixel", "pytorch_half_pixel", "align_corners")
    size = op.graph.constant(np.array([*shape[:2], op.integer(1, 17), op.integer(1, 17)]))
    resized = op.graph.node(
        "Resize",
        _reals(op, "x", shape, scale),
        "",
        "",
        size,
        coordinate_transformation_mode=op.draw(st.sampled_from(coordinates)),
        **attributes,
    )
    return _finish(op, resized, _near(op, scale))
