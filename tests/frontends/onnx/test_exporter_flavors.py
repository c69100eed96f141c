"""QDQ files in the ways in which exporters write them: all become quantized ops, and compute what ONNX Runtime does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto
from onnx_models import OPSETS, Graph, assert_valid, for_onnxruntime, means

import mrqc
from mrqc.errors import InputError
from mrqc.ops import nn

Array = NDArray[Any]


def random(*shape: int) -> np.random.Generator:
    """Return numbers that are the same for every operator set."""
    return np.random.default_rng((7, *shape))


def weights(*shape: int) -> Array:
    return random(*shape).normal(0, 0.2, shape).astype(np.float32)


def codes(*shape: int) -> Array:
    return random(*shape).integers(-127, 127, shape, np.int8, endpoint=True)


def pytorch(graph: Graph) -> str:
    """Weights as floats that are quantized in the file, a Clip of codes for -127 to 127, biases as floats."""
    x = graph.input("x", (1, 3, 8, 8))
    image = graph.requantize(x, 0.02, 3, np.int8)
    scales = graph.constant(np.array([0.004, 0.003, 0.005, 0.004], np.float32))
    zeros = graph.constant(np.zeros(4, np.int8))
    stored = graph.node("QuantizeLinear", graph.constant(weights(4, 3, 3, 3)), scales, zeros, axis=0)
    low, high = graph.constant(np.int8(-127)), graph.constant(np.int8(127))
    weight = graph.node("DequantizeLinear", graph.node("Clip", stored, low, high), scales, zeros, axis=0)
    bias = graph.constant(weights(4))
    image = graph.node("Relu", graph.node("Conv", image, weight, bias, pads=[1, 1, 1, 1]))
    narrow = graph.scheme(0.05, -5, np.int8)
    clipped = graph.node("Clip", graph.node("QuantizeLinear", image, *narrow), low, high)
    return graph.requantize(graph.node("DequantizeLinear", clipped, *narrow), 0.05, -5, np.int8)


def onnxruntime_tool(graph: Graph) -> str:
    """Weights as codes, biases as 32-bit codes at the scale of the sums, pools between equal schemes."""
    x = graph.input("x", (1, 3, 8, 8))
    image = graph.requantize(x, 0.02, 128)
    weight = graph.weight(codes(4, 3, 3, 3), np.full(4, 0.004, np.float32), np.zeros(4, np.int8), axis=0)
    bias = graph.weight(
        random(4).integers(-500, 500, 4, np.int32), np.full(4, 0.00008, np.float32), np.zeros(4, np.int32), axis=0
    )
    image = graph.requantize(graph.node("Relu", graph.node("Conv", image, weight, bias)), 0.03, 0)
    image = graph.requantize(graph.node("MaxPool", image, kernel_shape=[2, 2], strides=[2, 2]), 0.03, 0)
    return graph.requantize(graph.node("GlobalAveragePool", image), 0.0217, 0)


def tf2onnx(graph: Graph) -> str:
    """Images in NHWC between transposes, a reshape at the end."""
    x = graph.input("x", (1, 8, 8, 3))
    image = graph.node("Transpose", graph.requantize(x, 0.02, 128), perm=[0, 3, 1, 2])
    weight = graph.weight(codes(4, 3, 3, 3), 0.004)
    image = graph.node("Clip", graph.node("Conv", image, weight, strides=[2, 2]), *bounds(graph, 0, 6))
    image = graph.node("Transpose", graph.requantize(image, 6 / 255, 0), perm=[0, 2, 3, 1])
    return graph.requantize(graph.node("Reshape", image, graph.constant(np.array([1, -1]))), 6 / 255, 0)


def bounds(graph: Graph, low: float, high: float) -> tuple[str, str]:
    return graph.constant(np.float32(low)), graph.constant(np.float32(high))


def power_of_two(graph: Graph) -> str:
    """Vendors: scales are powers of two, activations symmetric, zero points left out where the type is u8."""
    x = graph.input("x", (1, 3, 8, 8))
    image = graph.requantize(x, 2.0**-6, 0, np.int8)
    weight = graph.weight(codes(4, 3, 1, 1), 2.0**-8)
    image = graph.requantize(graph.node("Conv", image, weight), 2.0**-5, 0, np.int8)
    image = graph.node("Relu", image)
    scale = graph.constant(np.float32(2.0**-6))
    return graph.node("DequantizeLinear", graph.node("QuantizeLinear", image, scale), scale)


def shared_constants(graph: Graph) -> str:
    """Two layers with one weight and one scale, and a residual addition."""
    x = graph.input("x", (1, 4, 6, 6))
    scheme = graph.scheme(0.04, 120, np.uint8)
    weight = graph.weight(codes(4, 4, 3, 3), 0.002)

    def requantized(tensor: str) -> str:
        return graph.node("DequantizeLinear", graph.node("QuantizeLinear", tensor, *scheme), *scheme)

    image = requantized(x)
    first = requantized(graph.node("Conv", image, weight, pads=[1, 1, 1, 1]))
    second = requantized(graph.node("Conv", first, weight, pads=[1, 1, 1, 1]))
    return requantized(graph.node("Add", image, second))


def gemm(graph: Graph) -> str:
    """A classifier: Gemm with a scale for each output, then a softmax."""
    x = graph.input("x", (1, 20))
    rows = graph.requantize(x, 0.02, 10, np.int8)
    weight = graph.weight(codes(10, 20), np.full(10, 0.004, np.float32), np.zeros(10, np.int8), axis=0)
    rows = graph.requantize(graph.node("Gemm", rows, weight, transB=1), 0.05, 5, np.int8)
    return graph.requantize(graph.node("Softmax", rows, axis=-1), 1 / 256, -128, np.int8)


def moves(graph: Graph) -> str:
    """A pad, slices of one tensor, a resize and a concatenation, each between its own schemes."""
    scheme = (0.03, 100, np.uint8)
    x = graph.input("x", (1, 4, 6, 6))
    image = graph.requantize(x, *scheme)
    pads = graph.constant(np.array([0, 0, 1, 1, 0, 0, 1, 1]))
    image = graph.requantize(graph.node("Pad", image, pads), *scheme)
    starts, axis = graph.constant(np.array([0])), graph.constant(np.array([1]))
    first = graph.requantize(graph.node("Slice", image, starts, graph.constant(np.array([2])), axis), *scheme)
    roi, factors = graph.constant(np.zeros(0, np.float32)), graph.constant(np.array([1, 1, 2, 2], np.float32))
    resize = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    larger = graph.requantize(graph.node("Resize", image, roi, factors, **resize), *scheme)
    smaller = graph.requantize(graph.node("MaxPool", larger, kernel_shape=[2, 2], strides=[2, 2]), *scheme)
    return graph.requantize(graph.node("Concat", first, smaller, axis=1), 0.0437, 110)


def functions(graph: Graph) -> str:
    """A gate as in squeeze-and-excitation, a leaky activation, a mean over the image."""
    x = graph.input("x", (1, 4, 6, 6))
    image = graph.requantize(x, 0.03, 100)
    image = graph.requantize(graph.node("LeakyRelu", image, alpha=0.1), 0.031, 20)
    rows = graph.requantize(means(graph, image, keep_dims=1), 0.0171, 10)
    gate = graph.requantize(graph.node("Sigmoid", rows), 1 / 256, 0)
    image = graph.requantize(graph.node("Mul", image, gate), 0.0233, 20)
    return graph.requantize(graph.node("Sub", image, rows), 0.0317, 90)


FLAVORS: dict[Callable[[Graph], str], int] = {
    pytorch: 13,
    onnxruntime_tool: 13,
    tf2onnx: 11,
    power_of_two: 10,
    shared_constants: 10,
    gemm: 13,
    moves: 11,
    functions: 10,
}
"""With the oldest operator set that can say it: scales for each channel came with 13, bounds as inputs with 11."""


@pytest.mark.parametrize(
    ("flavor", "opset"),
    [(flavor, opset) for flavor, oldest in FLAVORS.items() for opset in OPSETS if opset >= oldest],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_a_file_becomes_quantized_ops_that_compute_the_same(
    flavor: Callable[[Graph], str], opset: int, tmp_path: Path
) -> None:
    graph = Graph(opset)
    result = flavor(graph)
    graph.output(result)
    model = graph.model()
    assert_valid(model)
    module = mrqc.load(graph.save(tmp_path))
    (port,) = module.graph.inputs
    assert_only_codes_between(module)
    inputs = np.random.default_rng(1).normal(0, 1.5, (4, *port.type.shape[1:])).astype(np.float32)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(for_onnxruntime(model), options, providers=["CPUExecutionProvider"])
    wanted = np.concatenate([session.run(None, {port.name: image[None]})[0] for image in inputs])
    (found,) = mrqc.reference(module).run(inputs).values()
    step = np.min(np.diff(np.unique(found)))
    # Floats decide ties between two codes in another way than the reals.
    assert np.abs(found - wanted).max() <= step * 1.01
    assert np.mean(np.abs(found - wanted) > step / 2) <= 0.01


def assert_only_codes_between(module: mrqc.Module) -> None:
    """Assert that floats only enter and leave the module."""
    for statement in module.graph.statements:
        op = statement.op
        if isinstance(op, nn.Quantize):
            assert op.input in module.graph.inputs or op.input.type.element.is_quantized
        elif isinstance(op, nn.Dequantize):
            assert statement.result in module.graph.output_values
        elif not isinstance(op, nn.Constant):
            assert statement.result.type.element.is_quantized, op.mnemonic


def test_codes_of_16_bits_without_a_sign_are_refused_in_words(tmp_path: Path) -> None:
    graph = Graph(21)
    x = graph.input("x", (1, 4))
    scheme = graph.scheme(0.5, 0, np.uint16)
    graph.output(graph.node("DequantizeLinear", graph.node("QuantizeLinear", x, *scheme), *scheme), TensorProto.FLOAT)
    with pytest.raises(InputError, match="codes of type uint16 are not supported"):
        mrqc.load(graph.save(tmp_path))
