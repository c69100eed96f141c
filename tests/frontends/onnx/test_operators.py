"""Each operator, in float models with all its attributes, against ONNX Runtime."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper
from onnx_models import Graph, run_onnxruntime

import mrqc
from mrqc.backends.reference import ReferenceProgram
from mrqc.frontends.onnx import import_onnx
from mrqc.ir import Module, verify
from mrqc.ops import nn

RANDOM = np.random.default_rng(5)


def reals(*shape: int) -> Any:
    return RANDOM.uniform(-2, 2, shape).astype(np.float32)


def check(graph: Graph, folder: Path, **inputs: Any) -> Module:
    """Import the model and compare all its outputs with ONNX Runtime's."""
    path = graph.save(folder)
    module = import_onnx(path)
    assert verify(module) == []
    wanted = run_onnxruntime(graph.model(), inputs)
    found = ReferenceProgram(module).run(inputs)
    assert wanted.keys() == found.keys()
    for name, array in wanted.items():
        assert found[name].shape == array.shape
        assert found[name].dtype == array.dtype
        np.testing.assert_allclose(found[name], array, rtol=1e-4, atol=1e-5)
    return module


def unary(op_type: str, shape: tuple[int, ...], folder: Path, opset: int = 13, **attributes: Any) -> Module:
    graph = Graph(opset)
    x = graph.input("x", shape)
    graph.output(graph.node(op_type, x, **attributes))
    return check(graph, folder, x=reals(*shape))


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"pads": [1, 0, 2, 1]},
        {"strides": [2, 3], "pads": [1, 1, 1, 1]},
        {"dilations": [2, 1], "pads": [2, 1, 2, 1]},
        {"auto_pad": "VALID", "strides": [2, 2]},
        {"auto_pad": "SAME_UPPER", "strides": [2, 2]},
        {"auto_pad": "SAME_LOWER", "strides": [2, 2]},
        {"auto_pad": "SAME_LOWER", "strides": [1, 2]},
        {"auto_pad": "SAME_UPPER", "strides": [3, 1]},
        {"auto_pad": "NOTSET", "kernel_shape": [3, 2]},
    ],
)
def test_convolution(attributes: dict[str, Any], tmp_path: Path) -> None:
    graph = Graph()
    x = graph.input("x", (1, 4, 9, 8))
    weight, bias = graph.constant(reals(6, 4, 3, 2)), graph.constant(reals(6))
    graph.output(graph.node("Conv", x, weight, bias, **attributes))
    module = check(graph, tmp_path, x=reals(1, 4, 9, 8))
    assert module.graph.outputs[0].value.type.rank == 4


def test_same_padding_with_dilation_follows_the_extent_of_the_kernel(tmp_path: Path) -> None:
    # ONNX Runtime refuses SAME with dilations; the sizes are what the standard says.
    graph = Graph()
    x = graph.input("x", (1, 1, 9, 7))
    weight = graph.constant(reals(1, 1, 3, 3))
    graph.output(graph.node("Conv", x, weight, auto_pad="SAME_UPPER", dilations=[2, 2], strides=[1, 2]))
    module = import_onnx(graph.save(tmp_path))
    assert module.graph.outputs[0].value.type.shape == (1, 1, 9, 4)


@pytest.mark.parametrize(("groups", "outputs"), [(4, 4), (4, 8), (2, 6)])
def test_groups(groups: int, outputs: int, tmp_path: Path) -> None:
    graph = Graph()
    x = graph.input("x", (1, 4, 6, 5))
    weight = graph.constant(reals(outputs, 4 // groups, 3, 3))
    graph.output(graph.node("Conv", x, weight, group=groups, pads=[1, 1, 1, 1]))
    check(graph, tmp_path, x=reals(1, 4, 6, 5))


@pytest.mark.parametrize(
    "attributes",
    [
        {"kernel_shape": [2, 2]},
        {"kernel_shape": [3, 2], "strides": [2, 1], "pads": [1, 0, 2, 1]},
        {"kernel_shape": [3, 3], "auto_pad": "SAME_UPPER", "strides": [2, 2]},
        {"kernel_shape": [3, 3], "auto_pad": "SAME_LOWER", "strides": [2, 2]},
        {"kernel_shape": [2, 2], "auto_pad": "VALID", "strides": [3, 2]},
        {"kernel_shape": [3, 2], "ceil_mode": 1, "strides": [2, 2]},
    ],
)
@pytest.mark.parametrize("op_type", ["MaxPool", "AveragePool"])
def test_pools(op_type: str, attributes: dict[str, Any], tmp_path: Path) -> None:
    unary(op_type, (1, 3, 7, 8), tmp_path, **attributes)


@pytest.mark.parametrize("op_type", ["MaxPool", "AveragePool"])
def test_ceil_mode_adds_no_window_that_begins_in_the_padding(op_type: str, tmp_path: Path) -> None:
    unary(op_type, (1, 3, 3, 3), tmp_path, kernel_shape=[2, 2], strides=[3, 3], pads=[0, 0, 1, 1], ceil_mode=1)


def test_average_pool_that_counts_its_padding(tmp_path: Path) -> None:
    unary("AveragePool", (1, 3, 6, 6), tmp_path, kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1)


@pytest.mark.parametrize("op_type", ["GlobalAveragePool", "GlobalMaxPool"])
def test_global_pools(op_type: str, tmp_path: Path) -> None:
    unary(op_type, (1, 5, 4, 3), tmp_path)


@pytest.mark.parametrize(
    ("transposed_a", "transposed_b", "alpha", "beta", "bias_shape"),
    [
        (0, 0, 1.0, 1.0, (4,)),
        (0, 1, 0.5, 2.0, (1, 4)),
        (1, 0, 1.0, 1.0, ()),
        (1, 1, 2.5, 0.5, (1,)),
        (0, 1, 1.0, 0.0, (4,)),
        (0, 0, 1.0, 1.0, None),
    ],
)
def test_gemm(
    transposed_a: int,
    transposed_b: int,
    alpha: float,
    beta: float,
    bias_shape: tuple[int, ...] | None,
    tmp_path: Path,
) -> None:
    graph = Graph()
    # One row; for ONNX Runtime's one-image-at-a-time harness the leading extent stays whole.
    shape = (3, 2) if transposed_a else (1, 3)
    rows = graph.input("x", (1, *shape))
    rows = graph.node("Squeeze", rows, graph.constant(np.array([0], np.int64)))
    inner = shape[0] if transposed_a else shape[1]
    weight = graph.constant(reals(4, inner) if transposed_b else reals(inner, 4))
    operands = [rows, weight] + ([graph.constant(reals(*bias_shape))] if bias_shape is not None else [])
    product = graph.node("Gemm", *operands, transA=transposed_a, transB=transposed_b, alpha=alpha, beta=beta)
    graph.output(graph.node("Unsqueeze", product, graph.constant(np.array([0], np.int64))))
    check(graph, tmp_path, x=reals(1, *shape))


@pytest.mark.parametrize("bias_first", [False, True])
@pytest.mark.parametrize("bias_shape", [(4,), (1, 4)])
def test_a_constant_after_matmul_stays_a_sum(bias_first: bool, bias_shape: tuple[int, ...], tmp_path: Path) -> None:
    graph = Graph()
    product = graph.node("MatMul", graph.input("x", (1, 6)), graph.constant(reals(6, 4)), name="product")
    bias = graph.constant(reals(*bias_shape))
    graph.output(graph.node("Add", *((bias, product) if bias_first else (product, bias)), name="sum"))
    module = check(graph, tmp_path, x=reals(1, 6))
    last = module.graph.definitions[module.graph.outputs[0].value]
    assert [statement.op.mnemonic for statement in module.graph.statements].count("nn.fully_connected") == 1
    # Runtimes begin the sums of a product with its bias, and end with what is added: floats differ in the last bits.
    assert last.op.mnemonic == "nn.add"
    assert last.op.operands[1].type.shape == (4,)
    assert last.location.sources == ("sum",)


@pytest.mark.parametrize("is_dequantized", [False, True])
def test_a_constant_after_matmul_of_codes_is_its_bias(is_dequantized: bool, tmp_path: Path) -> None:
    graph = Graph()
    x = graph.dequantize(graph.input("x", (1, 6), TensorProto.INT8), 0.25, 3, np.int8)
    weight = graph.dequantize(graph.constant(np.arange(-12, 12, dtype=np.int8).reshape(6, 4)), 0.125, 0, np.int8)
    bias = graph.constant(reals(4))
    if is_dequantized:
        bias = graph.dequantize(graph.constant(np.arange(4, dtype=np.int32)), 0.03125, 0, np.int32)
    total = graph.node("Add", graph.node("MatMul", x, weight, name="product"), bias, name="sum")
    graph.output(graph.requantize(total, 0.5, 1), TensorProto.FLOAT)
    module = mrqc.load(graph.save(tmp_path))
    ops = [statement.op for statement in module.graph.statements if not isinstance(statement.op, nn.Constant)]
    assert [op.mnemonic for op in ops] == ["nn.fully_connected", "nn.dequantize"]


@pytest.mark.parametrize("shape", [(1, 3), (1, 3, 5), (1, 3, 4, 5), (1, 3, 2, 4, 5)])
def test_batch_normalization_is_one_statement(shape: tuple[int, ...], tmp_path: Path) -> None:
    graph = Graph()
    parameters = [graph.constant(reals(3)) for _ in range(3)]
    variance = graph.constant(np.array([0.5, 2.0, 0.01], np.float32))
    y = graph.node("BatchNormalization", graph.input("x", shape), *parameters, variance, epsilon=0.25, momentum=0.5)
    graph.output(y)
    module = check(graph, tmp_path, x=reals(*shape))
    (normalization,) = [s.op for s in module.graph.statements if isinstance(s.op, nn.BatchNormalization)]
    assert normalization.epsilon == 0.25


def test_a_constant_for_each_channel_after_a_convolution_is_its_bias(tmp_path: Path) -> None:
    graph = Graph()
    image = graph.node("Conv", graph.input("x", (1, 2, 5, 5)), graph.constant(reals(3, 2, 2, 2)))
    graph.output(graph.node("Add", image, graph.constant(reals(3, 1, 1))))
    module = check(graph, tmp_path, x=reals(1, 2, 5, 5))
    assert all(statement.op.mnemonic != "nn.add" for statement in module.graph.statements)


def test_a_second_constant_is_not_taken_for_the_bias(tmp_path: Path) -> None:
    graph = Graph()
    product = graph.node("Gemm", graph.input("x", (1, 6)), graph.constant(reals(6, 4)), graph.constant(reals(4)))
    graph.output(graph.node("Add", product, graph.constant(reals(4))))
    module = check(graph, tmp_path, x=reals(1, 6))
    assert [statement.op.mnemonic for statement in module.graph.statements].count("nn.add") == 1


def test_a_product_with_bias_and_without(tmp_path: Path) -> None:
    graph = Graph()
    product = graph.node("MatMul", graph.input("x", (1, 6)), graph.constant(reals(6, 4)))
    graph.output(graph.node("Add", product, graph.constant(reals(4))))
    graph.output(graph.node("Relu", product))
    assert len(check(graph, tmp_path, x=reals(1, 6)).graph.outputs) == 2


def test_add_of_differently_laid_out_tensors(tmp_path: Path) -> None:
    graph = Graph()
    x = graph.input("x", (1, 3, 4, 5))
    same = graph.node("Conv", x, graph.constant(reals(3, 3, 1, 1)))
    graph.output(graph.node("Add", x, same))
    graph.output(graph.node("Add", same, x))
    module = check(graph, tmp_path, x=reals(1, 3, 4, 5))
    transposes = [s for s in module.graph.statements if s.op.mnemonic == "nn.transpose"]
    # Once into NHWC, and each output back.
    assert len(transposes) == 3


@pytest.mark.parametrize("first", list(permutations(range(4))))
def test_transposes_compose(first: tuple[int, ...], tmp_path: Path) -> None:
    graph = Graph()
    image = graph.node("Conv", graph.input("x", (1, 2, 3, 4)), graph.constant(reals(5, 2, 1, 1)))
    moved = graph.node("Transpose", graph.node("Transpose", image, perm=list(first)), perm=[2, 0, 3, 1])
    row = graph.node("Reshape", moved, graph.constant(np.array([1, -1])))
    graph.output(graph.node("Relu", row))
    check(graph, tmp_path, x=reals(1, 2, 3, 4))


@pytest.mark.parametrize(
    ("low", "high"), [(0.0, 1.0), (-0.5, None), (None, 0.25), (None, None), (-3.4028235e38, 3.4028235e38)]
)
def test_clip(low: float | None, high: float | None, tmp_path: Path) -> None:
    graph = Graph()
    bounds = ["" if bound is None else graph.constant(np.float32(bound)) for bound in (low, high)]
    while bounds and not bounds[-1]:
        bounds.pop()
    graph.output(graph.node("Clip", graph.input("x", (1, 8)), *bounds))
    assert check(graph, tmp_path, x=reals(1, 8)).name == "model"


@pytest.mark.parametrize("attributes", [{"min": 0.0, "max": 1.0}, {"max": 0.5}, {}])
def test_clip_with_attributes(attributes: dict[str, float], tmp_path: Path) -> None:
    unary("Clip", (1, 8), tmp_path, opset=10, **attributes)


@pytest.mark.parametrize(
    ("opset", "shape", "attributes"),
    [
        (13, (1, 7), {}),
        (13, (1, 2, 3, 4), {"axis": 3}),
        (13, (1, 2, 3, 4), {"axis": -1}),
        (12, (1, 7), {}),
        (11, (1, 2, 3), {}),
        (11, (1, 2, 3), {"axis": 2}),
        (11, (1, 2, 3), {"axis": 0}),
    ],
)
def test_softmax(opset: int, shape: tuple[int, ...], attributes: dict[str, int], tmp_path: Path) -> None:
    unary("Softmax", shape, tmp_path, opset, **attributes)


def test_softmax_of_a_tensor_that_is_laid_out_differently(tmp_path: Path) -> None:
    graph = Graph()
    image = graph.node("Conv", graph.input("x", (1, 3, 4, 5)), graph.constant(reals(2, 3, 1, 1)))
    graph.output(graph.node("Softmax", image))
    graph.output(graph.node("Softmax", graph.node("Transpose", image, perm=[0, 2, 3, 1])))
    module = check(graph, tmp_path, x=reals(1, 3, 4, 5))
    transposes = [s for s in module.graph.statements if s.op.mnemonic == "nn.transpose"]
    # Into NHWC, and out of it for the first softmax; the second runs along the channels, where they are.
    assert len(transposes) == 2


@pytest.mark.parametrize("axis", [0, 1, 2, 4, -1])
def test_flatten(axis: int, tmp_path: Path) -> None:
    # A flattening at axis 0 has extent 1 in front as well, which the harness concatenates along.
    unary("Flatten", (1, 3, 2, 4), tmp_path, axis=axis)


@pytest.mark.parametrize("opset", [11, 13])
def test_squeeze_and_unsqueeze(opset: int, tmp_path: Path) -> None:
    graph = Graph(opset)
    x = graph.input("x", (1, 3, 1, 4))

    def axes(*numbers: int) -> tuple[list[str], dict[str, list[int]]]:
        return ([], {"axes": list(numbers)}) if opset < 13 else ([graph.constant(np.array(numbers))], {})

    operands, attributes = axes(-2)
    squeezed = graph.node("Squeeze", x, *operands, **attributes)
    operands, attributes = axes(1, -1)
    graph.output(graph.node("Unsqueeze", squeezed, *operands, **attributes))
    check(graph, tmp_path, x=reals(1, 3, 1, 4))


@pytest.mark.parametrize("shape", [[1, 12, 2], [0, -1], [-1, 3, 8], [0, 0, 8]])
def test_reshape(shape: list[int], tmp_path: Path) -> None:
    graph = Graph()
    graph.output(graph.node("Reshape", graph.input("x", (1, 3, 2, 4)), graph.constant(np.array(shape))))
    check(graph, tmp_path, x=reals(1, 3, 2, 4))


def test_the_shape_computations_of_exporters_are_folded(tmp_path: Path) -> None:
    graph = Graph()
    x = graph.input("x", ("batch", 3, 4, 4))
    image = graph.node("Conv", x, graph.constant(reals(2, 3, 3, 3)))
    shape = graph.node("Shape", image)
    first = graph.node("Gather", shape, graph.constant(np.array(0)), axis=0)
    leading = graph.node("Unsqueeze", first, graph.constant(np.array([0])))
    last = graph.node("Slice", shape, graph.constant(np.array([3])), graph.constant(np.array([2**62])))
    rest = graph.node("Concat", graph.node("Constant", value_ints=[-1]), last, axis=0)
    wanted = graph.node("Cast", graph.node("Concat", leading, rest, axis=0), to=TensorProto.INT64)
    graph.output(graph.node("Identity", graph.node("Reshape", image, wanted)))
    module = check(graph, tmp_path, x=reals(1, 3, 4, 4))
    assert module.graph.outputs[0].value.type.shape == (1, 4, 2)


def test_an_old_opset_is_read(tmp_path: Path) -> None:
    graph = Graph(opset=10)
    graph.output(graph.node("Relu", graph.input("x", (1, 4))))
    check(graph, tmp_path, x=reals(1, 4))


@pytest.mark.parametrize("vector_first", [False, True])
@pytest.mark.parametrize("rank", [2, 3, 4])
def test_products_with_a_vector(vector_first: bool, rank: int, tmp_path: Path) -> None:
    graph = Graph()
    shape = (1, 3, 2, 4)[:rank]
    x = graph.input("x", shape)
    vector = graph.constant(reals(shape[-2] if vector_first else shape[-1]))
    operands = (vector, x) if vector_first else (x, vector)
    graph.output(graph.node("Add", graph.node("MatMul", *operands), graph.constant(reals(1))))
    check(graph, tmp_path, x=reals(*shape))


def test_a_shape_chosen_by_comparison_is_folded(tmp_path: Path) -> None:
    graph = Graph()
    x = graph.input("x", (1, 3, 4))
    given = graph.constant(np.array([1, -1, 2]))
    is_open = graph.node("Equal", given, graph.constant(np.array([-1])))
    shape = graph.node("Where", is_open, graph.constant(np.array([6, 6, 6])), given)
    graph.output(graph.node("Reshape", x, shape))
    module = check(graph, tmp_path, x=reals(1, 3, 4))
    assert module.graph.outputs[0].value.type.shape == (1, 6, 2)


def test_nodes_that_do_nothing_at_inference(tmp_path: Path) -> None:
    graph = Graph()
    x = graph.input("x", (1, 4))
    same = graph.node("Cast", graph.node("Identity", x), to=TensorProto.FLOAT)
    graph.nodes.append(helper.make_node("Dropout", [same], ["kept", "mask"], name="dropout"))
    graph.output(graph.node("Relu", "kept"))
    module = check(graph, tmp_path, x=reals(1, 4))
    assert [statement.op.mnemonic for statement in module.graph.statements] == ["nn.clip"]
