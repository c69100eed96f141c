"""QuantizeLinear and DequantizeLinear: what the codes of the imported module mean."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto
from onnx_models import OPSETS, Graph, run_in_double_precision, run_onnxruntime

from mrqc.backends.reference import ReferenceProgram
from mrqc.errors import InputError
from mrqc.frontends.onnx import import_onnx
from mrqc.ir import DType, Element, Module, Quantization, verify
from mrqc.ops import nn
from mrqc.passes.fold_qdq import FoldQdq

RANDOM = np.random.default_rng(9)


def codes(*shape: int, dtype: Any = np.uint8) -> Any:
    limits = np.iinfo(dtype)
    return RANDOM.integers(limits.min, limits.max + 1, shape, dtype)


def check(graph: Graph, folder: Path, **inputs: Any) -> Module:
    """Import and fold the model; both must give exactly what it means over the reals."""
    raw = import_onnx(graph.save(folder))
    folded = FoldQdq()(raw)
    wanted = run_in_double_precision(graph.model(), inputs)
    for module in (raw, folded):
        assert verify(module) == []
        found = ReferenceProgram(module).run(inputs)
        for name, array in wanted.items():
            if array.dtype.kind == "f":
                np.testing.assert_allclose(found[name], array, rtol=1e-6)
            else:
                np.testing.assert_array_equal(found[name], array)
    return folded


def mnemonics(module: Module) -> list[str]:
    return [s.op.mnemonic for s in module.graph.statements if not isinstance(s.op, nn.Constant)]


@pytest.mark.parametrize(
    ("dtype", "element_type"),
    [(np.uint8, TensorProto.UINT8), (np.int8, TensorProto.INT8), (np.int16, TensorProto.INT16)],
)
def test_codes_at_input_and_output(dtype: Any, element_type: int, tmp_path: Path) -> None:
    graph = Graph(opset=21)
    real = graph.dequantize(graph.input("x", (1, 3), element_type), 0.25, 3, dtype)
    graph.output(graph.quantize(real, 0.125, 5, dtype), element_type)
    module = check(graph, tmp_path, x=codes(1, 3, dtype=dtype))
    stored = DType.of(np.dtype(dtype))
    assert stored is not None
    assert module.graph.inputs[0].type.element == Element.per_tensor(stored, 0.25, 3)
    assert module.graph.outputs[0].value.type.element == Element.per_tensor(stored, 0.125, 5)
    assert mnemonics(module) == ["nn.quantize"]


def test_a_missing_zero_point_is_an_unsigned_zero(tmp_path: Path) -> None:
    graph = Graph()
    scale = graph.constant(np.float32(0.5))
    quantized = graph.node("QuantizeLinear", graph.input("x", (1, 4)), scale)
    graph.output(quantized, TensorProto.UINT8)
    graph.output(graph.node("DequantizeLinear", quantized, scale))
    module = check(graph, tmp_path, x=np.float32([[-1, 0.25, 0.75, 200]]))
    assert module.graph.outputs[0].value.type.element == Element.per_tensor(DType.U8, 0.5, 0)


def test_output_dtype_says_what_a_missing_zero_point_does_not(tmp_path: Path) -> None:
    graph = Graph(opset=21)
    scale = graph.constant(np.float32(0.5))
    quantized = graph.node("QuantizeLinear", graph.input("x", (1, 4)), scale, output_dtype=TensorProto.INT8)
    graph.output(quantized, TensorProto.INT8)
    module = import_onnx(graph.save(tmp_path))
    assert module.graph.outputs[0].value.type.element == Element.per_tensor(DType.I8, 0.5, 0)


def test_weights_and_bias_for_each_channel(tmp_path: Path) -> None:
    graph = Graph()
    image = graph.dequantize(graph.input("x", (1, 3, 4, 4), TensorProto.UINT8), 0.02, 128)
    scales = np.float32([0.1, 0.2, 0.3, 0.4])
    weight = graph.weight(codes(4, 3, 2, 2, dtype=np.int8), scales, np.zeros(4), axis=0)
    bias = graph.weight(codes(4, dtype=np.int16).astype(np.int32), scales * 0.02, np.zeros(4), axis=0)
    image = graph.node("Conv", image, weight, bias)
    graph.output(graph.quantize(image, 0.5, 7), TensorProto.UINT8)
    module = check(graph, tmp_path, x=codes(1, 3, 4, 4))
    (convolution,) = (s.op for s in module.graph.statements if isinstance(s.op, nn.Conv2D))
    assert convolution.weight.type.shape == (4, 2, 2, 3)
    assert convolution.weight.type.quantization == Quantization.per_axis(scales.tolist(), [0] * 4, 0)
    assert convolution.bias is not None
    assert convolution.bias.type.dtype is DType.I32


def test_the_axis_of_a_quantization_moves_with_the_layout(tmp_path: Path) -> None:
    graph = Graph()
    real = graph.input("x", (1, 2, 3, 4))
    scales, zero_points = [0.1, 0.2], [3, 5]
    quantized = graph.quantize(graph.node("Transpose", real, perm=[0, 3, 2, 1]), scales, zero_points, axis=-1)
    graph.output(graph.dequantize(quantized, scales, zero_points, axis=3))
    module = check(graph, tmp_path, x=RANDOM.uniform(-1, 20, (1, 2, 3, 4)).astype(np.float32))
    (quantize,) = (s.op for s in module.graph.statements if isinstance(s.op, nn.Quantize))
    assert quantize.element.quantization is not None
    assert quantize.element.quantization.axis == 1


def test_weights_for_each_channel_of_a_matmul(tmp_path: Path) -> None:
    graph = Graph()
    rows = graph.dequantize(graph.input("x", (1, 5), TensorProto.UINT8), 0.02, 128)
    scales = np.float32([0.1, 0.2, 0.3])
    weight = graph.weight(codes(5, 3, dtype=np.int8), scales, np.zeros(3), axis=1)
    product = graph.node("MatMul", rows, weight)
    total = graph.node("Add", product, graph.weight(np.int32([10, -500, 70]), scales * 0.02, np.zeros(3), axis=0))
    graph.output(graph.quantize(total, 0.5, 7), TensorProto.UINT8)
    module = check(graph, tmp_path, x=codes(1, 5))
    (layer,) = (s.op for s in module.graph.statements if isinstance(s.op, nn.FullyConnected))
    assert layer.weight.type.quantization == Quantization.per_axis(scales.tolist(), [0] * 3, 0)
    assert layer.bias is not None
    assert mnemonics(module) == ["nn.fully_connected"]


def test_a_transposed_weight_is_folded_with_its_axis(tmp_path: Path) -> None:
    graph = Graph()
    rows = graph.dequantize(graph.input("x", (1, 5), TensorProto.UINT8), 0.02, 128)
    weight = graph.weight(codes(3, 5, dtype=np.int8), np.float32([0.1, 0.2, 0.3]), np.zeros(3), axis=0)
    weight = graph.node("Transpose", graph.node("Unsqueeze", weight, graph.constant(np.array([0]))), perm=[0, 2, 1])
    weight = graph.node("Squeeze", weight, graph.constant(np.array([0])))
    graph.output(graph.quantize(graph.node("MatMul", rows, weight), 0.5, 7), TensorProto.UINT8)
    assert mnemonics(check(graph, tmp_path, x=codes(1, 5))) == ["nn.fully_connected"]


def test_float_weights_that_are_quantized_in_the_graph(tmp_path: Path) -> None:
    graph = Graph()
    rows = graph.dequantize(graph.input("x", (1, 5), TensorProto.UINT8), 0.02, 128)
    weight = graph.constant(RANDOM.uniform(-1, 1, (5, 3)).astype(np.float32))
    scheme = graph.scheme([0.01, 0.02, 0.007], np.zeros(3), np.int8)
    weight = graph.node("QuantizeLinear", weight, *scheme, axis=1)
    weight = graph.node("DequantizeLinear", weight, *scheme, axis=1)
    graph.output(graph.quantize(graph.node("MatMul", rows, weight), 0.5, 7), TensorProto.UINT8)
    module = check(graph, tmp_path, x=codes(1, 5))
    assert mnemonics(module) == ["nn.fully_connected"]


def test_an_initializer_that_is_read_with_two_scales(tmp_path: Path) -> None:
    graph = Graph()
    image = graph.dequantize(graph.input("x", (1, 3, 4, 4), TensorProto.UINT8), 0.02, 128)
    shared = graph.constant(codes(3, 3, 1, 1, dtype=np.int8), "shared")
    for scale, zero_point in ((0.01, 0), (0.03, -5)):
        image = graph.node("Conv", image, graph.dequantize(shared, scale, zero_point, np.int8))
        image = graph.requantize(image, 0.1 + scale, 120)
    graph.output(image)
    module = check(graph, tmp_path, x=codes(1, 3, 4, 4))
    weights = [s.op.weight.type.quantization for s in module.graph.statements if isinstance(s.op, nn.Conv2D)]
    assert [quantization and quantization.zero_point for quantization in weights] == [0, -5]


def test_a_dequantized_constant_that_is_weight_and_operand(tmp_path: Path) -> None:
    graph = Graph()
    image = graph.dequantize(graph.input("x", (1, 2, 4, 4), TensorProto.UINT8), 0.02, 128)
    shared = graph.weight(codes(1, 2, 4, 4, dtype=np.int8), 0.01, 3)
    total = graph.requantize(graph.node("Add", image, shared), 0.05, 128)
    graph.output(graph.quantize(graph.node("Conv", total, shared), 0.3, 9), TensorProto.UINT8)
    module = check(graph, tmp_path, x=codes(1, 2, 4, 4))
    assert mnemonics(module) == ["nn.add", "nn.transpose", "nn.conv2d"]
    constants = [s.op.value.shape for s in module.graph.statements if isinstance(s.op, nn.Constant)]
    assert constants == [(1, 2, 4, 4), (1, 4, 4, 2)]


def test_max_pool_and_moves_on_codes(tmp_path: Path) -> None:
    graph = Graph()
    image = graph.node("Transpose", graph.input("x", (1, 4, 4, 3), TensorProto.UINT8), perm=[0, 3, 1, 2])
    image = graph.node("MaxPool", image, kernel_shape=[2, 2], strides=[2, 2])
    flat = graph.node("Flatten", image)
    real = graph.dequantize(flat, 0.125, 11)
    product = graph.node("MatMul", real, graph.weight(codes(12, 2, dtype=np.int8), 0.1))
    graph.output(graph.quantize(product, 0.5, 7), TensorProto.UINT8)
    module = check(graph, tmp_path, x=codes(1, 4, 4, 3))
    assert mnemonics(module) == ["nn.max_pool2d", "nn.transpose", "nn.reshape", "nn.fully_connected"]
    assert module.graph.inputs[0].type.element == Element.per_tensor(DType.U8, 0.125, 11)


def test_gemm_factors_go_into_the_scales(tmp_path: Path) -> None:
    graph = Graph()
    rows = graph.dequantize(graph.input("x", (1, 5), TensorProto.UINT8), 0.02, 128)
    weight, bias = graph.weight(codes(5, 3, dtype=np.int8), 0.01), graph.weight(np.int32([10, -50, 7]), 0.002)
    product = graph.node("Gemm", rows, weight, bias, alpha=0.5, beta=4.0)
    graph.output(graph.quantize(product, 0.5, 7), TensorProto.UINT8)
    module = check(graph, tmp_path, x=codes(1, 5))
    (layer,) = (s.op for s in module.graph.statements if isinstance(s.op, nn.FullyConnected))
    assert layer.weight.type.quantization == Quantization.per_tensor(float(np.float32(0.01)) * 0.5)


def refused(graph: Graph, folder: Path) -> str:
    with pytest.raises(InputError) as caught:
        import_onnx(graph.save(folder))
    assert len(caught.value.diagnostics) == 1, str(caught.value)
    return str(caught.value)


def test_codes_that_are_read_with_another_scale_are_refused(tmp_path: Path) -> None:
    graph = Graph()
    quantized = graph.quantize(graph.input("x", (1, 4)), 0.5, 3)
    graph.output(graph.dequantize(quantized, 0.25, 3))
    message = refused(graph, tmp_path)
    assert "DequantizeLinear node" in message
    assert "u8 scale 0.25 zero point 3 that were quantized with u8 scale 0.5 zero point 3" in message


def test_an_input_that_is_read_with_two_scales_is_refused(tmp_path: Path) -> None:
    graph = Graph()
    x = graph.input("x", (1, 4), TensorProto.INT8)
    for scale in (0.5, 0.25):
        graph.output(graph.dequantize(x, scale, 0, np.int8))
    assert "input 'x': nodes" in refused(graph, tmp_path)


def test_an_input_whose_codes_nothing_explains_is_refused(tmp_path: Path) -> None:
    graph = Graph()
    graph.output(graph.node("Identity", graph.input("x", (1, 4), TensorProto.UINT8)), TensorProto.UINT8)
    assert "nothing says what its u8 codes mean" in refused(graph, tmp_path)


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan"), float("inf")])
def test_scales_that_are_none_are_refused(scale: float, tmp_path: Path) -> None:
    graph = Graph()
    graph.output(graph.quantize(graph.input("x", (1, 4)), scale), TensorProto.UINT8)
    assert "scales must be positive and finite" in refused(graph, tmp_path)


def test_a_scale_that_is_computed_is_refused(tmp_path: Path) -> None:
    graph = Graph()
    x = graph.input("x", (1, 4))
    scale = graph.node("Relu", x)
    graph.output(graph.node("QuantizeLinear", x, scale), TensorProto.UINT8)
    assert "the scale 'relu_0' is computed at run time, not constant" in refused(graph, tmp_path)


def test_scales_in_blocks_are_refused(tmp_path: Path) -> None:
    graph = Graph(opset=21)
    scale = graph.constant(np.ones((1, 2), np.float32))
    graph.output(graph.node("QuantizeLinear", graph.input("x", (1, 4)), scale, block_size=2), TensorProto.UINT8)
    assert "block_size 2: scales in blocks are not supported" in refused(graph, tmp_path)


def quantize_alone(**attributes: int) -> Graph:
    """Return a QuantizeLinear of the newest operator set, to u8 by its zero point."""
    graph = Graph(OPSETS[-1])
    graph.output(graph.quantize(graph.input("x", (1, 4)), 0.5, 3, **attributes), TensorProto.UINT8)
    return graph


@pytest.mark.parametrize(
    "attributes",
    [
        {"saturate": 0},
        {"precision": TensorProto.FLOAT},
        {"block_size": 0},
        {"output_dtype": TensorProto.UINT8},
    ],
    ids=str,
)
def test_newer_attributes_that_change_nothing_for_integers(attributes: dict[str, int], tmp_path: Path) -> None:
    x = np.float32([[-9, 0.25, 0.75, 200]])
    graph = quantize_alone(**attributes)
    (found,) = ReferenceProgram(import_onnx(graph.save(tmp_path))).run({"x": x}).values()
    (wanted,) = run_onnxruntime(graph.model(), {"x": x}).values()
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"precision": TensorProto.FLOAT16}, "precision FLOAT16 is not supported (FLOAT is)"),
        ({"output_dtype": TensorProto.INT8}, "output_dtype is INT8, the zero point uint8"),
        ({"output_dtype": TensorProto.INT4}, "codes of element type INT4 are not supported"),
        ({"output_dtype": TensorProto.FLOAT8E4M3FN}, "codes of element type FLOAT8E4M3FN are not supported"),
    ],
)
def test_newer_attributes_are_refused_by_name(attributes: dict[str, int], message: str, tmp_path: Path) -> None:
    assert message in refused(quantize_alone(**attributes), tmp_path)


def test_results_of_half_precision_are_refused(tmp_path: Path) -> None:
    graph = Graph(OPSETS[-1])
    x = graph.input("x", (1, 4), TensorProto.UINT8)
    graph.output(graph.dequantize(x, 0.5, 3, output_dtype=TensorProto.FLOAT16), TensorProto.FLOAT16)
    assert "output_dtype FLOAT16 is not supported (FLOAT is)" in refused(graph, tmp_path)


@pytest.mark.parametrize("name", ["INT4", "UINT4", "FLOAT8E5M2", "FLOAT4E2M1"])
def test_weights_of_newer_types_are_refused_by_name(name: str, tmp_path: Path) -> None:
    graph = Graph(OPSETS[-1])
    stored = TensorProto(name="stored", data_type=TensorProto.DataType.Value(name), dims=[4, 2], int32_data=[0] * 8)
    graph.initializers.append(stored)
    weight = graph.node("DequantizeLinear", "stored", graph.constant(np.float32(0.5)))
    graph.output(graph.node("MatMul", graph.input("x", (1, 4)), weight))
    assert f"initializer 'stored': element type {name} is not supported" in refused(graph, tmp_path)


def test_an_axis_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    graph = Graph()
    quantized = graph.quantize(graph.input("x", (1, 2)), [0.5, 0.25], [0, 0], axis=2)
    graph.output(quantized, TensorProto.UINT8)
    assert "axis 2 does not exist in a tensor of rank 2" in refused(graph, tmp_path)


def test_a_split_quantization_axis_is_refused(tmp_path: Path) -> None:
    graph = Graph()
    rows = graph.input("x", (1, 6))
    weight = graph.weight(codes(4, 3, dtype=np.int8), np.ones(4), np.zeros(4), axis=0)
    weight = graph.node("Reshape", weight, graph.constant(np.array([6, 2])))
    graph.output(graph.node("MatMul", rows, weight))
    assert "breaks up axis 0" in refused(graph, tmp_path)


def test_activations_on_codes_are_refused(tmp_path: Path) -> None:
    graph = Graph(opset=14)
    quantized = graph.quantize(graph.input("x", (1, 4)), 0.5, 0, np.int8)
    graph.output(graph.node("Relu", quantized), TensorProto.INT8)
    assert "it works on the codes of 'quantizelinear_0'" in refused(graph, tmp_path)
