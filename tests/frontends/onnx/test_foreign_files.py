"""What files of other people's tools showed: each test is one of them, shrunk to the nodes that matter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from litert import LiteRT
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


def codes_of(array: Array, value: Any) -> Array:
    quantization = value.type.quantization
    steps = np.rint(array / np.float32(quantization.scale)) + quantization.zero_point
    return np.clip(steps, value.type.dtype.minimum, value.type.dtype.maximum).astype(value.type.dtype.numpy)


def assert_the_runtimes_bytes(path: Path, shape: tuple[int, ...]) -> None:
    """Compare what is lowered for the runtime, and what is written in both forms, with the file in the runtime."""
    module = mrqc.load(path)
    rows = images(shape)
    wanted = in_the_runtime(path.read_bytes(), rows)
    lowered = mrqc.lower(module, TARGET)
    quantization = lowered.graph.outputs[0].value.type.quantization
    assert quantization is not None
    program = mrqc.simulate(lowered)
    for row, array in zip(rows, wanted, strict=True):
        found = program(codes_of(row, lowered.graph.inputs[0])).astype(np.int32) - quantization.zero_point
        np.testing.assert_array_equal((found * np.float32(quantization.scale)).astype(np.float32), array)
    for form in ("qdq", "qoperator"):
        for found, array in zip(in_the_runtime(mrqc.emit_onnx(module, form), rows), wanted, strict=True):
            np.testing.assert_array_equal(found, array)
    assert len(np.unique(np.stack(wanted))) > 8


def keyword_spotter(graph: Graph, dtype: Any = np.int8) -> None:
    """Sound: convolutions and pools along time, a residual sum, a bias for each channel on the left of a sum."""
    sound = graph.requantize(graph.input("x", (1, 4, 24)), 0.008, 1, dtype)
    weight = graph.weight(
        codes(0, 6, 4, 5), np.linspace(0.005, 0.02, 6, dtype=np.float32), np.zeros(6, np.int8), axis=0
    )
    sound = graph.requantize(graph.node("Conv", sound, weight, pads=[4, 0], strides=[2]), 0.04, -3, dtype)
    sound = graph.node("MaxPool", sound, kernel_shape=[3], strides=[2], pads=[0, 1])
    depthwise = graph.weight(codes(1, 6, 1, 3), 0.01)
    wide = graph.node("Conv", sound, depthwise, group=6, pads=[2, 2], dilations=[2])
    wide = graph.requantize(graph.node("Relu", wide), 0.05, -128, dtype)
    both = graph.requantize(graph.node("Add", sound, wide), 0.06, -20, dtype)
    offsets = graph.weight(codes(2, 1, 6, 1), 0.01)
    both = graph.requantize(graph.node("Add", offsets, both), 0.06, -20, dtype)
    graph.output(graph.requantize(graph.node("GlobalAveragePool", both), 0.03, 0, dtype))


def test_convolutions_along_one_axis(tmp_path: Path) -> None:
    graph = Graph()
    keyword_spotter(graph)
    assert_the_runtimes_bytes(graph.save(tmp_path), (1, 4, 24))


def test_sequences_stay_channels_last_between_convolutions(tmp_path: Path) -> None:
    graph = Graph()
    sound = graph.requantize(graph.input("x", (1, 4, 24)), 0.008, 1, np.int8)
    for seed in range(3):
        weight = graph.weight(codes(seed, 4, 4, 3), 0.01)
        sound = graph.requantize(graph.node("Conv", sound, weight, pads=[1, 1]), 0.04, -3, np.int8)
    graph.output(sound)
    path = graph.save(tmp_path)
    moves = [s for s in mrqc.load(path).graph.statements if s.op.mnemonic == "nn.transpose"]
    assert len(moves) == 2
    assert_the_runtimes_bytes(path, (1, 4, 24))


def test_max_pools_that_round_up(tmp_path: Path) -> None:
    """GoogLeNet and SqueezeNet: the last window reaches beyond the image."""
    graph = Graph()
    image = quantized_input(graph, (1, 3, 8, 10))
    pooled = graph.node("MaxPool", image, kernel_shape=[3, 3], strides=[2, 3], ceil_mode=1)
    graph.output(graph.requantize(graph.node("Relu", pooled), 0.008, 1, np.int8))
    assert_the_runtimes_bytes(graph.save(tmp_path), (1, 3, 8, 10))


def unrolled_recurrence(graph: Graph) -> None:
    """tf2onnx of an unrolled network: codes of the input are split, squeezed and tiled before they are read."""
    x = graph.input("x", (1, 3, 4), TensorProto.INT8)
    steps = ["step_0", "step_1", "step_2"]
    graph.nodes.append(onnx.helper.make_node("Split", [x], steps, "split", axis=1))
    scheme = graph.scheme(0.01, 3, np.int8)
    axes = graph.constant(np.array([1]))
    state = None
    for index, step in enumerate(steps):
        read = graph.node("DequantizeLinear", graph.node("Squeeze", step, axes), *scheme)
        state = graph.node("MatMul", read if state is None else state, graph.weight(codes(index, 4, 4), 0.01))
        state = graph.requantize(graph.node("Tanh", graph.requantize(state, 0.02, 5, np.int8)), 1 / 128, 0, np.int8)
        state = graph.requantize(graph.node("Add", state, read), 0.03, 1, np.int8)
    stored = graph.node("QuantizeLinear", state, *graph.scheme(0.03, 1, np.int8))
    repeats = graph.constant(np.array([2, 3]))
    graph.output(graph.node("Tile", stored, repeats), TensorProto.INT8)


def test_codes_of_an_input_that_are_moved_before_they_are_read(tmp_path: Path) -> None:
    graph = Graph()
    unrolled_recurrence(graph)
    path = graph.save(tmp_path)
    random = np.random.default_rng(2)
    rows = [random.integers(-128, 127, (1, 3, 4), np.int8, endpoint=True) for _ in range(12)]
    program = mrqc.simulate(mrqc.lower(mrqc.load(path), TARGET))
    for row, wanted in zip(rows, in_the_runtime(path.read_bytes(), rows), strict=True):
        np.testing.assert_array_equal(program(row), wanted)


def test_the_grid_of_a_detector_is_a_constant(tmp_path: Path) -> None:
    """A YOLO head adds the places of its cells: a range, stretched, and cast from doubles."""
    graph = Graph()
    image = quantized_input(graph, (1, 2, 3, 5))
    shape = graph.node("Shape", image)
    width = graph.node("Gather", shape, graph.constant(np.array(3)))
    places = graph.node("Range", graph.constant(np.array(0)), width, graph.constant(np.array(1)))
    places = graph.node("Cast", places, to=TensorProto.DOUBLE)
    places = graph.node("Add", places, graph.constant(np.float64(0.5)))
    places = graph.node("Cast", places, to=TensorProto.FLOAT)
    grid = graph.node("Expand", places, graph.constant(np.array([1, 2, 3, 1])))
    grid = graph.requantize(grid, 0.04, -128, np.int8)
    graph.output(graph.requantize(graph.node("Add", image, grid), 0.05, -100, np.int8))
    assert_the_runtimes_bytes(graph.save(tmp_path), (1, 2, 3, 5))


def test_tflite_convolutions_get_a_bias_at_the_scale_of_their_sums(tmp_path: Path) -> None:
    """LiteRT insists on one for floats too, and reads codes as sums, whatever their scale."""
    graph = Graph()
    image = graph.input("x", (1, 3, 6, 6))
    graph.output(graph.node("Conv", image, graph.constant(codes(0, 2, 3, 3, 3).astype(np.float32) / 100)))
    row = images((1, 3, 6, 6))[0]
    path = graph.save(tmp_path)
    wanted = in_the_runtime(path.read_bytes(), [row])[0]
    (found,) = LiteRT(mrqc.emit_tflite(mrqc.load(path))).run({"x": row}).values()
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)
    graph = Graph()
    bias = graph.weight(np.array([4000, -3000], np.int32), 0.0003, np.int32(0))
    image = graph.node("Conv", quantized_input(graph, (1, 3, 6, 6)), graph.weight(codes(0, 2, 3, 3, 3), 0.01), bias)
    graph.output(graph.requantize(image, 0.05, 3, np.int8))
    path = graph.save(tmp_path)
    wanted = in_the_runtime(path.read_bytes(), [row])[0]
    module = mrqc.load(path)
    (found,) = LiteRT(mrqc.emit_tflite(module)).run({"x": row}).values()
    assert np.abs(found - wanted).max() < 1.01 * 0.05
