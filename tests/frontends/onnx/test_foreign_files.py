"""What files of other people's tools showed: each test is one of them, shrunk to the nodes that matter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto
from onnx_models import Graph
from onnx_single_ops import SAFE_SESSION, TARGET, session_of

import mrqc
from mrqc.errors import TargetError

Array = NDArray[Any]


def codes(seed: int, *shape: int) -> Array:
    return np.random.default_rng(seed).integers(-127, 127, shape, np.int8, endpoint=True)


def images(shape: tuple[int, ...], count: int = 12) -> list[Array]:
    random = np.random.default_rng(1)
    return [random.uniform(-1, 1, shape).astype(np.float32) for _ in range(count)]


def in_the_runtime(content: bytes, rows: list[Array]) -> list[Array]:
    session = session_of(content, SAFE_SESSION["i8"])
    (port,) = session.get_inputs()
    return [session.run(None, {port.name: row})[0] for row in rows]


def quantized_input(graph: Graph, shape: tuple[int, ...]) -> str:
    return graph.requantize(graph.input("x", shape), 0.008, 1, np.int8)


def transposed_convolution(graph: Graph) -> None:
    """The decoder of a U-Net: a transposed convolution, and what the encoder had, side by side."""
    image = quantized_input(graph, (1, 4, 6, 6))
    weight = graph.weight(codes(0, 4, 3, 2, 2), 0.01)
    bias = graph.weight(np.array([300, -200, 50], np.int32), 0.00008, np.int32(0))
    upper = graph.node("ConvTranspose", image, weight, bias, strides=[2, 2])
    graph.output(graph.requantize(graph.node("Relu", upper), 0.03, -128, np.int8))


@pytest.mark.parametrize("target", ["sym-npu", "pow2-npu"])
def test_transposed_convolutions_move_to_other_schemes(target: str, tmp_path: Path) -> None:
    graph = Graph()
    transposed_convolution(graph)
    path = graph.save(tmp_path)
    rows = images((1, 4, 6, 6))
    lowered = mrqc.lower(mrqc.load(path), target, io="original")
    (output,) = lowered.graph.outputs
    quantization = output.value.type.quantization
    assert quantization is not None
    input_ = lowered.graph.inputs[0].type.quantization
    assert input_ is not None
    program = mrqc.simulate(lowered)
    for row, wanted in zip(rows, in_the_runtime(path.read_bytes(), rows), strict=True):
        found = quantization.dequantize(program(input_.quantize(row, -128, 127).astype(np.int8)))
        noise = np.sqrt(np.mean((found - wanted) ** 2))
        assert noise < 0.05 * np.sqrt(np.mean(wanted**2))


def two_scales_around_a_relu(graph: Graph) -> None:
    """Only convolutions are quantized, the ReLU behind one stands between two schemes."""
    image = quantized_input(graph, (1, 3, 6, 6))
    image = graph.requantize(graph.node("Conv", image, graph.weight(codes(0, 4, 3, 3, 3), 0.01)), 0.09, 7, np.int8)
    image = graph.requantize(graph.node("Relu", image), 0.041, -128, np.int8)
    image = graph.node("Conv", image, graph.weight(codes(1, 2, 4, 1, 1), 0.01))
    graph.output(graph.requantize(image, 0.1, 0, np.int8))


@pytest.mark.parametrize("form", ["qdq", "qoperator"])
def test_a_relu_between_two_scales_is_written_between_them(form: str, tmp_path: Path) -> None:
    """On codes behind the second QuantizeLinear, ONNX Runtime would make one step of the two."""
    graph = Graph()
    two_scales_around_a_relu(graph)
    path = graph.save(tmp_path)
    rows = images((1, 3, 6, 6))
    again = mrqc.emit_onnx(mrqc.load(path), form)
    for found, wanted in zip(in_the_runtime(again, rows), in_the_runtime(path.read_bytes(), rows), strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_16_bit_codes_stay_in_the_qdq_form(tmp_path: Path) -> None:
    """The operators over codes take bytes only."""
    graph = Graph(21)
    image = graph.requantize(graph.input("x", (1, 3, 6, 6)), 2.0**-12, 0, np.int16)
    image = graph.node("Conv", image, graph.weight(codes(0, 4, 3, 3, 3), 0.01))
    image = graph.requantize(image, 2.0**-9, 0, np.int16)
    image = graph.requantize(graph.node("GlobalAveragePool", image), 2.0**-11, 0, np.int16)
    graph.output(graph.requantize(graph.node("Softmax", image, axis=1), 2.0**-15, 0, np.int16))
    path = graph.save(tmp_path)
    rows = images((1, 3, 6, 6))
    again = mrqc.emit_onnx(mrqc.load(path), "qoperator")
    assert not [node for node in onnx.load_from_string(again).graph.node if node.op_type.startswith("QLinear")]
    for found, wanted in zip(in_the_runtime(again, rows), in_the_runtime(path.read_bytes(), rows), strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_tflite_has_no_16_bit_codes_with_a_zero_point(tmp_path: Path) -> None:
    graph = Graph(21)
    image = graph.requantize(graph.input("x", (1, 3, 6, 6)), 2.0**-12, -5, np.int16)
    image = graph.node("Conv", image, graph.weight(codes(0, 4, 3, 3, 3), 0.01))
    graph.output(graph.requantize(image, 2.0**-9, -32768, np.int16))
    module = mrqc.load(graph.save(tmp_path))
    with pytest.raises(TargetError) as caught:
        mrqc.emit_tflite(module)
    assert "i16 codes with zero point -5: TFLite has symmetric ones only" in str(caught.value)
    assert "i16 codes with zero point -32768: TFLite has symmetric ones only" in str(caught.value)


def test_zeros_at_another_scale_are_refused_as_the_runtime_computes_in_floats(tmp_path: Path) -> None:
    """PyTorch shares equal tensors; a bias of zeros then has the scale of the first of its users."""
    graph = Graph()
    image = quantized_input(graph, (1, 3, 6, 6))
    zeros = graph.weight(np.zeros(3, np.int32), 0.00008, np.int32(0))
    for scale in (0.01, 0.03):
        image = graph.node("Conv", image, graph.weight(codes(int(scale * 100), 3, 3, 1, 1), scale), zeros)
        image = graph.requantize(image, 0.05, 3, np.int8)
    graph.output(image)
    path = graph.save(tmp_path)
    with pytest.raises(TargetError, match="its bias does not have the scale of the sums"):
        mrqc.lower(mrqc.load(path), TARGET)
    optimized = tmp_path / "optimized.onnx"
    session_of(path.read_bytes(), SAFE_SESSION["i8"], optimized)
    kinds = [node.op_type for node in onnx.load(optimized).graph.node]
    assert (kinds.count("QLinearConv"), kinds.count("Conv")) == (1, 1)


def test_a_bias_at_a_scale_of_its_own_stays_in_the_qdq_form(tmp_path: Path) -> None:
    """QLinearConv adds the codes of a bias to its sums, whatever they mean."""
    graph = Graph()
    image = quantized_input(graph, (1, 3, 6, 6))
    bias = graph.weight(np.array([4000, -3000, 50], np.int32), 0.0003, np.int32(0))
    image = graph.node("Conv", image, graph.weight(codes(0, 3, 3, 6, 6), 0.01), bias)
    graph.output(graph.requantize(image, 0.05, 3, np.int8))
    path = graph.save(tmp_path)
    inputs = images((1, 3, 6, 6))
    again = mrqc.emit_onnx(mrqc.load(path), "qoperator")
    for found, wanted in zip(in_the_runtime(again, inputs), in_the_runtime(path.read_bytes(), inputs), strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_floats_in_the_middle_are_refused_with_their_names(tmp_path: Path) -> None:
    graph = Graph()
    image = quantized_input(graph, (1, 3, 6, 6))
    upper = graph.node("ConvTranspose", image, graph.constant(np.ones((3, 2, 1, 1), np.float32)))
    both = graph.node("Concat", image, upper, axis=1)
    graph.output(graph.requantize(both, 0.05, 3, np.int8), TensorProto.FLOAT)
    module = mrqc.load(graph.save(tmp_path))
    with pytest.raises(TargetError) as caught:
        mrqc.lower(module, TARGET)
    assert f"{both}: the result is float" in str(caught.value)
