"""Transposes at the edges are absorbed; moves appear only where elements have to move."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto
from onnx_models import Graph, run_in_double_precision

from mrqc.backends.reference import ReferenceProgram
from mrqc.frontends.files import module_name
from mrqc.frontends.onnx import import_onnx
from mrqc.ir import Module
from mrqc.ops import nn
from mrqc.passes.fold_qdq import FoldQdq

RANDOM = np.random.default_rng(3)


def weight(graph: Graph, *shape: int) -> str:
    return graph.weight(RANDOM.integers(-127, 128, shape, np.int8), 0.01)


def imported(graph: Graph, folder: Path) -> Module:
    """Return the folded module, checked against the model's meaning over the reals."""
    module = FoldQdq()(import_onnx(graph.save(folder)))
    inputs: dict[str, Any] = {}
    for value in module.graph.inputs:
        if value.type.dtype.is_integer:
            inputs[value.name] = RANDOM.integers(0, 256, value.type.shape, np.uint8)
        else:
            inputs[value.name] = RANDOM.uniform(-1, 1, value.type.shape).astype(np.float32)
    wanted = run_in_double_precision(graph.model(), inputs)
    found = ReferenceProgram(module).run(inputs)
    for name, array in wanted.items():
        np.testing.assert_allclose(found[name], array, rtol=1e-5, atol=1e-5)
    return module


def moves(module: Module) -> list[str]:
    return [s.op.mnemonic for s in module.graph.statements if isinstance(s.op, nn.Transpose | nn.Reshape)]


def test_an_nhwc_model_has_no_moves(tmp_path: Path) -> None:
    graph = Graph()
    x = graph.input("x", ("N", 5, 4, 3), TensorProto.UINT8)
    image = graph.dequantize(graph.node("Transpose", x, perm=[0, 3, 1, 2]), 0.01, 128)
    skip = graph.requantize(graph.node("Conv", image, weight(graph, 3, 3, 1, 1)), 0.02, 100)
    image = graph.requantize(graph.node("Add", skip, image), 0.03, 120)
    image = graph.node("MaxPool", image, kernel_shape=[2, 2])
    image = graph.node("Relu", image)
    quantized = graph.quantize(image, 0.03, 0)
    graph.output(graph.node("Transpose", quantized, perm=[0, 2, 3, 1]), TensorProto.UINT8)
    module = imported(graph, tmp_path)
    assert moves(module) == []
    assert module.graph.inputs[0].type.shape == (1, 5, 4, 3)
    assert module.graph.outputs[0].value.type.shape == (1, 4, 3, 3)


def test_an_nchw_model_is_moved_on_codes_at_its_edges(tmp_path: Path) -> None:
    graph = Graph()
    image = graph.requantize(graph.input("x", (1, 3, 5, 4)), 0.01, 128)
    image = graph.requantize(graph.node("Conv", image, weight(graph, 2, 3, 1, 1)), 0.02, 100)
    graph.output(image)
    module = imported(graph, tmp_path)
    assert [s.op.mnemonic for s in module.graph.statements if not isinstance(s.op, nn.Constant)] == [
        "nn.quantize",
        "nn.transpose",
        "nn.conv2d",
        "nn.transpose",
        "nn.dequantize",
    ]
    assert module.graph.inputs[0].type.shape == (1, 3, 5, 4)
    assert module.graph.outputs[0].value.type.shape == (1, 2, 5, 4)


def test_one_channel_needs_no_transpose(tmp_path: Path) -> None:
    graph = Graph()
    image = graph.requantize(graph.input("x", (1, 1, 5, 4)), 0.01, 128)
    graph.output(graph.requantize(graph.node("Conv", image, weight(graph, 2, 1, 5, 4)), 0.02, 100))
    assert moves(imported(graph, tmp_path)) == ["nn.reshape", "nn.reshape"]


def test_a_pooled_image_is_flattened_by_one_reshape(tmp_path: Path) -> None:
    graph = Graph()
    image = graph.requantize(graph.input("x", (1, 4, 4, 3)), 0.01, 128)
    image = graph.node("Transpose", image, perm=[0, 3, 1, 2])
    image = graph.requantize(graph.node("GlobalAveragePool", image), 0.01, 128)
    image = graph.node("Reshape", image, graph.constant(np.array([1, 3, 1, 1])))
    image = graph.node("Conv", image, weight(graph, 6, 3, 1, 1))
    flat = graph.node("Squeeze", graph.requantize(image, 0.05, 100), graph.constant(np.array([2, 3])))
    flat = graph.node("Flatten", flat)
    graph.output(graph.requantize(graph.node("Gemm", flat, weight(graph, 6, 2)), 0.05, 128))
    assert moves(imported(graph, tmp_path)) == ["nn.reshape"]


def test_a_transpose_is_shared_by_its_users(tmp_path: Path) -> None:
    graph = Graph()
    image = graph.requantize(graph.input("x", (1, 3, 5, 4)), 0.01, 128)
    for _ in range(3):
        branch = graph.node("GlobalAveragePool", graph.node("Conv", image, weight(graph, 2, 3, 1, 1)))
        graph.output(graph.requantize(graph.node("Flatten", branch), 0.02, 100))
    assert moves(imported(graph, tmp_path)).count("nn.transpose") == 1


def test_flattening_a_real_image_is_a_transpose_and_a_reshape(tmp_path: Path) -> None:
    graph = Graph()
    image = graph.requantize(graph.input("x", (1, 4, 4, 3)), 0.01, 128)
    image = graph.node("Conv", graph.node("Transpose", image, perm=[0, 3, 1, 2]), weight(graph, 2, 3, 1, 1))
    flat = graph.node("Flatten", graph.requantize(image, 0.05, 100))
    graph.output(graph.requantize(graph.node("Gemm", flat, weight(graph, 32, 2)), 0.05, 128))
    assert moves(imported(graph, tmp_path)) == ["nn.transpose", "nn.reshape"]


def test_depthwise_weights_keep_their_channels(tmp_path: Path) -> None:
    graph = Graph()
    image = graph.requantize(graph.input("x", (1, 4, 6, 6)), 0.01, 128)
    graph.output(graph.requantize(graph.node("Conv", image, weight(graph, 4, 1, 3, 2), group=4), 0.02, 100))
    module = imported(graph, tmp_path)
    (convolution,) = (s.op for s in module.graph.statements if isinstance(s.op, nn.Conv2D))
    assert convolution.is_depthwise
    assert convolution.weight.type.shape == (4, 3, 2, 1)


def test_names_and_facts(tmp_path: Path) -> None:
    graph = Graph()
    real = graph.input("serving/x:0", (1, 4))
    result = graph.node("Relu", graph.requantize(real, 0.5), name="my relu")
    graph.output(result)
    module = import_onnx(graph.save(tmp_path, "2nd-net v1.0.onnx"))
    assert module.name == "model_2nd_net_v1_0"
    assert module.fact("source") == "2nd-net v1.0.onnx"
    assert module.fact("format") == "onnx"
    assert [value.name for value in module.graph.inputs] == ["serving/x:0"]
    assert [output.name for output in module.graph.outputs] == [result]
    assert module.graph.statements[-1].location.sources == ("my relu",)


def test_an_unnamed_node_is_located_by_its_result(tmp_path: Path) -> None:
    graph = Graph()
    graph.output(graph.node("Relu", graph.input("x", (1, 4))))
    graph.nodes[0].name = ""
    module = import_onnx(graph.save(tmp_path))
    assert module.graph.statements[-1].location.sources == ("relu_0",)


def test_a_fusion_names_all_its_nodes(tmp_path: Path) -> None:
    graph = Graph()
    image = graph.requantize(graph.input("x", (1, 3, 4, 4)), 0.01, 128)
    image = graph.node("Conv", image, weight(graph, 2, 3, 1, 1), name="conv")
    image = graph.node("Relu", image, name="relu")
    scheme = graph.scheme(0.1, 0, np.uint8)
    graph.output(graph.node("QuantizeLinear", image, *scheme, name="quantize"), TensorProto.UINT8)
    module = imported(graph, tmp_path)
    (convolution,) = (s for s in module.graph.statements if isinstance(s.op, nn.Conv2D))
    assert str(convolution.location) == "conv + relu + quantize"


@pytest.mark.parametrize(
    ("stem", "name"),
    [("net", "net"), ("a.b-c", "a_b_c"), ("7x", "model_7x"), ("int", "model_int"), ("__x", "model_x"), ("é", "model_")],
)
def test_module_names_are_c_identifiers(stem: str, name: str) -> None:
    assert module_name(stem) == name
