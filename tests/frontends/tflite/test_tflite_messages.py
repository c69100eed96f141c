"""What is told about files that cannot be imported: every place at once, what was found, what is possible."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from tflite_files import SAME, TANH, Scales, TfliteFile, options

from mrqc.errors import InputError
from mrqc.frontends.tflite import import_tflite


def message_of(file: TfliteFile, folder: Path) -> str:
    path = folder / "model.tflite"
    path.write_bytes(file.content())
    with pytest.raises(InputError) as caught:
        import_tflite(path)
    return str(caught.value)


def test_everything_is_reported_at_once_and_nothing_twice(tmp_path: Path) -> None:
    file = TfliteFile()
    rows = file.input("f32", (1, 4), name="x")
    first, second, third, fourth = (file.tensor("f32", (1, 4), name=name) for name in ("a", "b", "c", "d"))
    file.operator("CUMSUM", [rows], [first])
    file.operator("CUSTOM", [first], [second], custom_code="Mine")
    file.operator("UNIDIRECTIONAL_SEQUENCE_LSTM", [second], [third])
    file.operator("ADD", [third, third], [fourth], options("AddOptions", fused_activation_function=TANH))
    file.operator("RELU", [fourth], [file.output("f32", (1, 4))])
    lines = message_of(file, tmp_path).splitlines()
    assert lines[0] == f"{tmp_path}/model.tflite: 4 problems"
    assert lines[1] == "  CUMSUM operator 0 'a': CUMSUM cannot be imported"
    assert lines[2] == (
        "  CUSTOM operator 1 'b': custom operator 'Mine' cannot be imported (only builtin operators are supported)"
    )
    assert "UNIDIRECTIONAL_SEQUENCE_LSTM cannot be imported (recurrent operators keep a state" in lines[3]
    assert lines[4] == (
        "  ADD operator 3 'd': the fused activation TANH is not supported (possible: NONE, RELU, RELU_N1_TO_1, RELU6)"
    )


def test_several_subgraphs(tmp_path: Path) -> None:
    file = small()
    file.operator("WHILE", [1], [file.tensor("f32", (1, 4), name="loop")])
    file.model.subgraphs = [file.graph, file.graph]
    message = message_of(file, tmp_path)
    assert "the file has 2 subgraphs (only models of one graph, without control flow" in message
    assert "WHILE operator 1 'loop': WHILE cannot be imported (export the model without control flow)" in message


def small() -> TfliteFile:
    """Return x -> RELU -> y."""
    file = TfliteFile()
    file.operator("RELU", [file.input("f32", (1, 4), name="x")], [file.output("f32", (1, 4), name="y")])
    return file


def _set(**content: Any) -> Callable[[TfliteFile], None]:
    def change(file: TfliteFile) -> None:
        for place, new in content.items():
            *holders, attribute = place.split("__")
            holder: Any = file
            for name in holders:
                holder = holder[int(name)] if name.isdigit() else getattr(holder, name)
            setattr(holder, attribute, new)

    return change


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (_set(model__version=2), "the file format must have version 3, found 2"),
        (_set(graph__operators=[]), "the graph has no operators"),
        (_set(graph__inputs=[]), "the graph has no inputs"),
        (_set(graph__outputs=[]), "the graph has no outputs"),
        (_set(graph__outputs=[7]), "output 'tensor_7': refers to tensor 7, the file has 2"),
        (_set(graph__inputs=[-1]), "refers to tensor -1, the file has 2"),
        (_set(graph__operators__0__inputs=[9]), "RELU operator 0 'y': refers to tensor 9, the file has 2"),
        (_set(graph__operators__0__inputs=[1]), "uses tensor 'y', which nothing before it defines"),
        (_set(graph__operators__0__outputs=[0]), "computes tensor 'x', which is defined already"),
        (_set(graph__inputs=[0, 0]), "its tensor is constant, or an input already"),
        (_set(graph__operators__0__opcodeIndex=4), "damaged or cut short: an operator has code 4, there are 1"),
        (_set(graph__operators__0__inputs=[]), "it has 0 operands, expected 1"),
        (_set(graph__operators__0__inputs=[-1]), "operand 0 is missing"),
        (_set(graph__operators__0__outputs=[1, 1]), "is defined already"),
        (_set(graph__tensors__0__type=5), "tensor 'x' has elements of type STRING (possible: INT8"),
        (_set(graph__tensors__0__type=8), "tensor 'x' has elements of type COMPLEX64"),
        (_set(graph__tensors__0__shape=[1, -1]), "its extent on axis 1 is not fixed (only the batch"),
        (_set(graph__tensors__0__shapeSignature=[-1, -1]), "its extent on axis 1 is not fixed (only the batch"),
        (_set(graph__tensors__0__shape=[1, 0]), "every extent of a shape must be at least 1, found [1, 0]"),
        (_set(graph__tensors__0__shape=[2**30, 2**30]), "has more than 2147483647 elements"),
        (_set(graph__tensors__0__buffer=7), "damaged or cut short: a tensor refers to buffer 7, there are 1"),
        (_set(graph__tensors__0__isVariable=True), "its tensor is constant, or an input already"),
        (_set(graph__tensors__0__type=9), "tensor 'x' holds i8 numbers without quantization parameters"),
        (_set(model__operatorCodes__0__builtinCode=9999), "number 9999 cannot be imported"),
    ],
)
def test_odd_graphs(tmp_path: Path, change: Callable[[TfliteFile], None], told: str) -> None:
    file = small()
    change(file)
    assert told in message_of(file, tmp_path)


@pytest.mark.parametrize(
    ("scales", "told"),
    [
        (Scales((0.0,), (0,)), "scales must be positive and finite"),
        (Scales((float("nan"),), (0,)), "scales must be positive and finite"),
        (Scales((1.0,), (300,)), "zero points must be codes between -128 and 127"),
        (Scales((1.0, 2.0), (0,), 1), "2 scales but 1 zero points"),
        (Scales((1.0, 2.0), (0, 0), 1), "axis 1 has 4 entries but there are 2 scales"),
        (Scales((1.0, 2.0), (0, 0), 5), "quantization axis 5 is outside a tensor of rank 2"),
        (Scales((1.0,) * 4, (0,) * 4, 1), "tensor 'x' has a scale for each index of an axis"),
    ],
)
def test_odd_scales(tmp_path: Path, scales: Scales, told: str) -> None:
    file = TfliteFile()
    operand = file.input("i8", (1, 4), scales, name="x")
    file.operator("RELU", [operand], [file.output("i8", (1, 4), Scales.one(1.0))])
    assert told in message_of(file, tmp_path)


def fully_connected(weight: np.ndarray, scales: Scales | None = None, dtype: str = "f32", **fields: Any) -> TfliteFile:
    file = TfliteFile()
    one = None if dtype == "f32" else Scales.one(0.5)
    rows = file.input(dtype, (1, 4), one, name="x")
    operands = [rows, file.constant(weight, scales, "weight"), None]
    result = file.output(dtype, (1, 2), one, name="y")
    file.operator("FULLY_CONNECTED", operands, [result], options("FullyConnectedOptions", **fields))
    return file


@pytest.mark.parametrize(
    ("file", "told"),
    [
        (fully_connected(np.zeros((2, 4, 1), np.float32)), "the weight must have 2 axes, found shape [2, 4, 1]"),
        (fully_connected(np.zeros((2, 3), np.float32)), "weights for 3 inputs, the operand has shape [1, 4]"),
        (fully_connected(np.zeros((2, 4), np.int8)), "the weight 'weight' has no quantization parameters"),
        (fully_connected(np.zeros((2, 4), np.float32), dtype="i8"), "weights of type f32 with an input of type i8"),
        (fully_connected(np.zeros((2, 4), np.int16), Scales.one(1.0), "i16"), "weights of type i16"),
        (fully_connected(np.zeros((2, 4), np.float32), weights_format=1), "shuffled weights are not supported"),
        (fully_connected(np.zeros((2, 4), np.float16)), "weights of type float16 with an input of type f32"),
    ],
)
def test_odd_weights(tmp_path: Path, file: TfliteFile, told: str) -> None:
    assert told in message_of(file, tmp_path)


def test_weights_that_are_computed(tmp_path: Path) -> None:
    file = TfliteFile()
    operands = [file.input("f32", (1, 4)), file.input("f32", (2, 4), name="weight"), None]
    file.operator("FULLY_CONNECTED", operands, [file.output("f32", (1, 2))], options("FullyConnectedOptions"))
    assert "the weight 'weight' is computed at run time, not constant" in message_of(file, tmp_path)


def test_a_constant_with_too_few_bytes(tmp_path: Path) -> None:
    file = fully_connected(np.zeros((2, 4), np.float32))
    file.model.buffers[1].data = file.model.buffers[1].data[:-1]
    assert "tensor 'weight', FLOAT32 of shape [2, 4], needs 32 bytes, the file has 31" in message_of(file, tmp_path)


def test_options_of_another_operator(tmp_path: Path) -> None:
    file = TfliteFile()
    operand = file.input("f32", (1, 2))
    file.operator("SOFTMAX", [operand], [file.output("f32", (1, 2), name="y")], options("AddOptions"))
    assert "its options are of type AddOptions, expected SoftmaxOptions" in message_of(file, tmp_path)


def test_windows_that_do_not_fit(tmp_path: Path) -> None:
    file = TfliteFile()
    image = file.input("f32", (1, 2, 2, 1))
    for stride, padding in ((0, SAME), (1, 1), (1, 5)):
        fields = options("Pool2DOptions", stride_h=stride, stride_w=1, filter_height=3, filter_width=1, padding=padding)
        file.operator("MAX_POOL_2D", [image], [file.output("f32", (1, 1, 1, 1))], fields)
    message = message_of(file, tmp_path)
    assert "kernel, strides and dilations must be at least 1, found [3, 1], [0, 1], [1, 1]" in message
    assert "a window of 3x1 does not fit an input of 2x2" in message
    assert "padding number 5 is neither SAME nor VALID" in message


def test_moves_that_would_change_the_meaning_of_codes(tmp_path: Path) -> None:
    """The runtime copies the codes; with other scales behind them, they would mean something else."""
    file = TfliteFile()
    operand = file.input("i8", (1, 4), Scales.one(0.5))
    file.operator("RESHAPE", [operand, file.integers([4])], [file.output("i8", (4,), Scales.one(0.25), name="y")])
    assert "result 'y' has another type or other quantization parameters than the operand" in message_of(file, tmp_path)


def test_layouts_that_cannot_be(tmp_path: Path) -> None:
    file = TfliteFile()
    operand = file.input("f32", (2, 3), name="x")
    for builtin, numbers in (("RESHAPE", [4, -1]), ("TRANSPOSE", [0, 0]), ("EXPAND_DIMS", [3]), ("RESHAPE", [-1, -1])):
        file.operator(builtin, [operand, file.integers(numbers)], [file.output("f32", (2, 3))])
    file.operator("SQUEEZE", [operand], [file.output("f32", (2,))], options("SqueezeOptions", squeeze_dims=[1]))
    message = message_of(file, tmp_path)
    assert "shape [2, 3] cannot become [4, -1]" in message
    assert "[0, 0] is no permutation of 2 axes" in message
    assert "axis 3 does not exist in a tensor of 2 axes" in message
    assert "shape [2, 3] cannot become [-1, -1]" in message
    assert "axes [1] of shape [2, 3] are not all of extent 1" in message
    assert "5 problems" in message


def test_a_shape_that_depends_on_an_unknown_operator_is_reported_once(tmp_path: Path) -> None:
    file = TfliteFile()
    image = file.input("f32", (2, 3), name="x")
    shape = file.tensor("i32", (2,), name="shape")
    file.operator("BROADCAST_ARGS", [file.integers([2]), file.integers([2, 1])], [shape])
    file.operator("RESHAPE", [image, shape], [file.output("f32", (3, 2))])
    message = message_of(file, tmp_path)
    assert "BROADCAST_ARGS operator 0 'shape': BROADCAST_ARGS cannot be imported" in message
    assert "problems" not in message


def test_sparse_constants(tmp_path: Path) -> None:
    file = fully_connected(np.zeros((2, 4), np.float32))

    file.graph.tensors[1].sparsity = schema.SparsityParametersT()
    assert "tensor 'weight' is sparse (store all of its elements)" in message_of(file, tmp_path)


def test_indices_that_are_no_integers(tmp_path: Path) -> None:
    file = TfliteFile()
    operands = [file.input("f32", (1, 4)), file.integers([1])]
    file.operator("ARG_MAX", operands, [file.output("i32", (1,))], options("ArgMaxOptions", output_type=7))
    assert "its indices must be of type INT32 or INT64" in message_of(file, tmp_path)
