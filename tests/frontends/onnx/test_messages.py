"""What users read when a model holds something that cannot be imported: all of it, by their own names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper
from onnx_models import Graph

from mrqc.errors import Diagnostic, InputError
from mrqc.frontends.onnx import import_onnx
from mrqc.ops import nn


def problems(graph: Graph, folder: Path) -> tuple[Diagnostic, ...]:
    path = graph.save(folder)
    with pytest.raises(InputError) as caught:
        import_onnx(path)
    assert str(caught.value).startswith(f"{path}: ")
    return caught.value.diagnostics


def only(graph: Graph, folder: Path) -> Diagnostic:
    (found,) = problems(graph, folder)
    return found


def test_every_unsupported_node_is_reported_at_once(tmp_path: Path) -> None:
    graph = Graph()
    graph.extra_domains.append("com.example")
    x = graph.input("x", ("N", 3, 8, 8))
    weight = graph.constant(np.ones((4, 3, 3, 3), np.float32))
    image = graph.node("Selu", graph.node("Conv", x, weight, name="stem"), name="leaky")
    image = graph.node("AveragePool", image, name="pool", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)
    image = graph.node("Celu", image, name="gate")
    image = graph.node("Einsum", image, name="sum", equation="nchw")
    image = graph.node("Magic", image, name="magic", domain="com.example")
    graph.output(graph.node("Relu", image, name="last"))
    found = problems(graph, tmp_path)
    assert [diagnostic.location for diagnostic in found] == [
        "Selu node 'leaky'",
        "AveragePool node 'pool'",
        "Celu node 'gate'",
        "Einsum node 'sum'",
        "Magic node 'magic'",
    ]
    leaky, pool, _, einsum, magic = found
    assert leaky.message == "operator Selu cannot be imported"
    assert "Relu" in leaky.hint
    assert "ceil_mode" in pool.message
    assert einsum.message == "operator Einsum cannot be imported"
    assert magic.message == "operator Magic of domain 'com.example' cannot be imported"


def test_the_message_lists_the_findings_line_by_line(tmp_path: Path) -> None:
    graph = Graph()
    x = graph.input("x", (1, 4))
    graph.output(graph.node("Celu", x, name="a"))
    graph.output(graph.node("Selu", x, name="b"))
    path = graph.save(tmp_path)
    with pytest.raises(InputError) as caught:
        import_onnx(path)
    hint = "(Relu, Clip, LeakyRelu, Elu, Sigmoid, Tanh, HardSwish and HardSigmoid can be imported)"
    assert str(caught.value) == (
        f"{path}: 2 problems\n"
        f"  Celu node 'a': operator Celu cannot be imported {hint}\n"
        f"  Selu node 'b': operator Selu cannot be imported {hint}"
    )
    assert caught.value.exit_code == 1


def test_nothing_is_blamed_for_what_came_before_it(tmp_path: Path) -> None:
    graph = Graph()
    x = graph.input("x", (1, 3, 8, 8))
    weight = graph.node("Pow", graph.constant(np.ones((2, 3, 1, 1), np.float32)), graph.constant(np.float32(2)))
    image = graph.node("Conv", x, graph.node("Identity", weight))
    graph.output(graph.node("Selu", image, name="selu"))
    assert [diagnostic.location for diagnostic in problems(graph, tmp_path)] == [
        "Pow node 'pow_0'",
        "Selu node 'selu'",
    ]


def test_initializers_of_other_types(tmp_path: Path) -> None:
    graph = Graph()
    x = graph.input("x", (1, 3))
    half = graph.constant(np.ones((3, 2), np.float16), "half")
    graph.constant(np.ones(3, np.float64), "unused")
    graph.output(graph.node("MatMul", x, half))
    found = only(graph, tmp_path)
    assert str(found) == "initializer 'half': element type FLOAT16 is not supported"


def test_extents_that_are_not_fixed(tmp_path: Path) -> None:
    graph = Graph()
    graph.output(graph.node("Relu", graph.input("x", ("N", 3, "height", "width"))))
    found = only(graph, tmp_path)
    assert str(found) == (
        "input 'x': its extent on axis 2 ('height') is not fixed (only the batch, the leading extent, may be left open)"
    )


@pytest.mark.parametrize("element_type", [TensorProto.FLOAT16, TensorProto.INT64, TensorProto.STRING])
def test_inputs_of_other_types(element_type: int, tmp_path: Path) -> None:
    graph = Graph()
    graph.output(graph.node("Identity", graph.input("x", (1, 3), element_type)), element_type)
    assert "is not supported" in only(graph, tmp_path).message


def test_outputs_of_another_type_than_declared(tmp_path: Path) -> None:
    graph = Graph()
    graph.output(graph.node("Relu", graph.input("x", (1, 3))), TensorProto.UINT8)
    assert only(graph, tmp_path).message == "declared as UINT8, but computed as f32"


@pytest.mark.parametrize(("opset", "found"), [(9, "found 9"), (9999, "found 9999")])
def test_opsets_out_of_range(opset: int, found: str, tmp_path: Path) -> None:
    graph = Graph()
    graph.output(graph.node("Relu", graph.input("x", (1, 3))))
    graph.opset = opset
    assert found in only(graph, tmp_path).message


def test_a_graph_with_nothing_in_it(tmp_path: Path) -> None:
    messages = [diagnostic.message for diagnostic in problems(Graph(), tmp_path)]
    assert messages == ["the graph has no nodes", "the graph has no inputs", "the graph has no outputs"]


def test_names_that_do_not_add_up(tmp_path: Path) -> None:
    graph = Graph()
    x = graph.input("x", (1, 3))
    graph.nodes.append(helper.make_node("Relu", ["nowhere"], ["y"], name="a"))
    graph.nodes.append(helper.make_node("Relu", [x], ["y"], name="b"))
    graph.output("y")
    graph.output("z")
    assert [str(diagnostic) for diagnostic in problems(graph, tmp_path)] == [
        "Relu node 'a': uses tensor 'nowhere', which nothing before it defines",
        "Relu node 'b': defines tensor 'y' a second time",
        "output 'z': nothing defines it",
    ]


def convolution(graph: Graph, shape: tuple[int, ...] = (2, 3, 3, 3), **attributes: Any) -> None:
    x = graph.input("x", (1, 3, 8, 8))
    graph.output(graph.node("Conv", x, graph.constant(np.ones(shape, np.float32)), **attributes))


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"group": 2}, "2 groups do not divide 3 input and 2 output channels"),
        ({"kernel_shape": [2, 2]}, "kernel_shape does not agree with the weight's shape [2, 3, 3, 3]"),
        ({"strides": [1]}, "only 2-D windows are supported, strides = [1]"),
        ({"strides": [0, 1]}, "strides and dilations must be at least 1"),
        ({"pads": [1, 1]}, "only 2-D windows are supported, pads = [1, 1]"),
        ({"pads": [0, 0, -1, 0]}, "padding must not be negative"),
        ({"auto_pad": "SAME"}, "auto_pad 'SAME' is unknown"),
        ({"dilations": [5, 5]}, "a window of 11x11 does not fit an input of 8x8"),
        ({"frobnicate": 1}, "unknown attributes: frobnicate"),
        ({"group": 1.5}, "attribute 'group' must be an integer"),
        ({"strides": "wide"}, "attribute 'strides' must be a list of integers"),
    ],
)
def test_convolutions(attributes: dict[str, Any], message: str, tmp_path: Path) -> None:
    graph = Graph()
    convolution(graph, **attributes)
    assert message in only(graph, tmp_path).message


def test_a_three_dimensional_convolution(tmp_path: Path) -> None:
    graph = Graph()
    x = graph.input("x", (1, 3, 8, 8, 8))
    graph.output(graph.node("Conv", x, graph.constant(np.ones((2, 3, 3, 3, 3), np.float32))))
    assert only(graph, tmp_path).message == "only images with 4 axes are supported, found shape [1, 3, 8, 8, 8]"


def test_weights_that_are_computed(tmp_path: Path) -> None:
    graph = Graph()
    x = graph.input("x", (1, 3, 8, 8))
    graph.output(graph.node("Conv", x, graph.input("w", (2, 3, 3, 3))))
    assert only(graph, tmp_path).message == "the weight 'w' is computed at run time, not constant"


def test_broadcasting(tmp_path: Path) -> None:
    graph = Graph()
    graph.output(graph.node("Add", graph.input("x", (1, 3, 8, 8)), graph.input("y", (1, 3, 2, 1))))
    found = only(graph, tmp_path)
    assert "differ in more than axes of extent 1" in found.message


@pytest.mark.parametrize(
    ("op_type", "attributes", "message"),
    [
        ("MaxPool", {}, "attribute 'kernel_shape' is missing"),
        ("MaxPool", {"kernel_shape": [2, 2], "dilations": [2, 2]}, "dilations [2, 2] are not supported in pools"),
        ("AveragePool", {"kernel_shape": [2, 2], "pads": [2, 0, 0, 0]}, "without a single element"),
        ("AveragePool", {"kernel_shape": [9, 9]}, "does not fit"),
        ("Transpose", {"perm": [0, 1]}, "perm = [0, 1] is no permutation of 4 axes"),
        ("Flatten", {"axis": 5}, "axis 5 does not exist"),
    ],
)
def test_other_nodes(op_type: str, attributes: dict[str, Any], message: str, tmp_path: Path) -> None:
    graph = Graph()
    graph.output(graph.node(op_type, graph.input("x", (1, 3, 4, 4)), **attributes))
    assert message in only(graph, tmp_path).message


def test_squeezing_more_than_there_is(tmp_path: Path) -> None:
    graph = Graph()
    graph.output(graph.node("Squeeze", graph.input("x", (1, 3, 4, 4)), graph.constant(np.array([1]))))
    assert only(graph, tmp_path).message == "axes [1] of shape [1, 3, 4, 4] are not all of extent 1"


def test_indices_of_a_max_pool(tmp_path: Path) -> None:
    graph = Graph()
    graph.input("x", (1, 3, 4, 4))
    graph.nodes.append(helper.make_node("MaxPool", ["x"], ["y", "i"], name="pool", kernel_shape=[2, 2]))
    graph.output("y")
    assert only(graph, tmp_path).message == "only one result is supported"


def test_constants_that_cannot_be_compared(tmp_path: Path) -> None:
    graph = Graph()
    x = graph.input("x", (1, 3))
    unequal = graph.node("Equal", graph.constant(np.array([1, 2])), graph.constant(np.array([1, 2, 3])))
    graph.output(graph.node("Where", unequal, x, x))
    assert "its constants do not fit each other" in only(graph, tmp_path).message


@pytest.mark.parametrize("shape", [[5, 5], [-1, -1], [-1, 7], [-2, 24]])
def test_reshapes_to_another_size(shape: list[int], tmp_path: Path) -> None:
    graph = Graph()
    graph.output(graph.node("Reshape", graph.input("x", (1, 48)), graph.constant(np.array(shape))))
    assert only(graph, tmp_path).message == f"shape [1, 48] cannot become {shape}"


def test_a_shape_that_is_computed(tmp_path: Path) -> None:
    graph = Graph()
    x = graph.input("x", (1, 48))
    graph.output(graph.node("Reshape", x, graph.node("Relu", x)))
    assert only(graph, tmp_path).message == "the shape 'relu_0' is computed at run time, not constant"


def test_bounds_that_cross(tmp_path: Path) -> None:
    graph = Graph()
    bounds = [graph.constant(np.float32(bound)) for bound in (1, 0)]
    graph.output(graph.node("Clip", graph.input("x", (1, 4)), *bounds))
    # As ONNX has it since opset 12: the upper bound wins.
    module = import_onnx(graph.save(tmp_path))
    (clip,) = [statement.op for statement in module.graph.statements]
    assert isinstance(clip, nn.Clip)
    assert clip.clamp == (0.0, 0.0)


@pytest.mark.parametrize(("name", "factor"), [("alpha", -1.0), ("alpha", 0.0), ("beta", -0.5)])
def test_factors_of_a_gemm(name: str, factor: float, tmp_path: Path) -> None:
    graph = Graph()
    operands = (graph.constant(np.ones((4, 2), np.float32)), graph.constant(np.ones(2, np.float32)))
    graph.output(graph.node("Gemm", graph.input("x", (1, 4)), *operands, **{name: factor}))
    assert only(graph, tmp_path).message == f"{name} must be positive, found {factor}"


def test_concatenation_of_shapes_that_do_not_fit(tmp_path: Path) -> None:
    graph = Graph()
    x = graph.input("x", (1, 4))
    graph.output(graph.node("Concat", x, graph.input("y", (2, 4)), axis=1))
    assert "differ in another axis than 1" in only(graph, tmp_path).message


def test_a_subgraph(tmp_path: Path) -> None:
    graph = Graph()
    x = graph.input("x", (1, 4))
    condition = graph.constant(np.array(True))
    branch = helper.make_graph(
        [helper.make_node("Relu", [x], ["inner"])],
        "branch",
        [],
        [helper.make_tensor_value_info("inner", TensorProto.FLOAT, (1, 4))],
    )
    graph.output(graph.node("If", condition, then_branch=branch, else_branch=branch))
    found = only(graph, tmp_path)
    assert found.message == "operator If cannot be imported"
    assert found.hint == "export the model without control flow"
