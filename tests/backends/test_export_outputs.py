"""Written files: names of outputs, borders, and what is reported behind a statement that cannot be written."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import tflite
from litert import LiteRT
from numpy.typing import NDArray

import mrqc
from mrqc.errors import TargetError
from mrqc.ir import FLOAT, Data, DType, Element, GraphBuilder, Location, Module, Output, TensorType
from mrqc.ops import nn


def in_runtime(module: Module, format_: str, array: NDArray[Any]) -> dict[str, NDArray[Any]]:
    if format_ == "tflite":
        return LiteRT(mrqc.emit_tflite(module)).run({"x": array})
    content = mrqc.emit_onnx(module)
    onnx.checker.check_model(onnx.load_from_string(content))
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {"x": array}), strict=True))


CODES = Element.per_tensor(DType.I8, 0.5, 3)


@pytest.mark.parametrize("format_", ["tflite", "onnx"])
def test_an_output_that_is_an_input_or_another_output_keeps_its_name(format_: str) -> None:
    builder = GraphBuilder()
    x = builder.add_input("x", TensorType((1, 4), CODES))
    y = builder.emit(nn.Tanh(x, CODES))
    outputs = [Output("same", x), Output("first", y), Output("x", x), Output("second", y)]
    module = Module("names", builder.finish(outputs))
    array = np.array([[-128, 0, 7, 127]], np.int8)
    found = in_runtime(module, format_, array)
    assert list(found) == ["same", "first", "x", "second"]
    assert np.array_equal(found["same"], array)
    assert np.array_equal(found["x"], array)
    assert np.array_equal(found["first"], found["second"])


@pytest.mark.parametrize("format_", ["tflite", "onnx"])
def test_outputs_that_are_constant(format_: str) -> None:
    builder = GraphBuilder()
    x = builder.add_input("x", TensorType((1, 4), CODES))
    y = builder.emit(nn.Tanh(x, CODES))
    real = builder.emit(nn.Constant(Data(np.array([1.5, -2.0], np.float32)), FLOAT))
    codes = builder.emit(nn.Constant(Data(np.array([1, 2], np.int8)), CODES))
    outputs = [Output("y", y), Output("real", real), Output("codes", codes), Output("again", codes)]
    found = in_runtime(Module("constants", builder.finish(outputs)), format_, np.zeros((1, 4), np.int8))
    assert found["real"].tolist() == [1.5, -2.0]
    assert found["codes"].tolist() == found["again"].tolist() == [1, 2]


def test_an_onnx_output_named_like_an_input_gets_a_number() -> None:
    builder = GraphBuilder()
    x = builder.add_input("x", TensorType((1, 4), CODES))
    module = Module("names", builder.finish([Output("x", builder.emit(nn.Tanh(x, CODES)))]))
    assert list(in_runtime(module, "onnx", np.zeros((1, 4), np.int8))) == ["x_1"]


def test_what_follows_a_statement_that_onnx_does_not_have_is_looked_at_too() -> None:
    builder = GraphBuilder()
    x = builder.add_input("x", TensorType((1, 2, 3, 4), FLOAT))
    weight = builder.emit(nn.Constant(Data(np.ones((4, 1, 1, 2), np.float32)), FLOAT))
    first = builder.emit(nn.TransposeConv2D(x, weight, groups=2), Location.of("first"))
    pool = builder.emit(nn.MaxPool2D(first, (2, 2)), Location.of("pool"))
    second = builder.emit(nn.TransposeConv2D(pool, weight, groups=2), Location.of("second"))
    with pytest.raises(TargetError) as caught:
        mrqc.emit_onnx(Module("behind", builder.finish([Output("y", second)])))
    assert [diagnostic.location for diagnostic in caught.value.diagnostics] == ["first", "second"]


def test_padding_that_counts_in_an_average_is_written_even_where_it_is_that_of_same() -> None:
    builder = GraphBuilder()
    x = builder.add_input("x", TensorType((1, 2, 2, 1), CODES))
    pool = nn.AveragePool2D(x, (1, 2), (1, 1), (0, 0, 0, 1), count_include_pad=True, element=CODES)
    module = Module("border", builder.finish([Output("y", builder.emit(pool))]))
    array = np.array([[[[13], [23]], [[43], [63]]]], np.int8)
    found = in_runtime(module, "tflite", array)["y"]
    assert np.array_equal(found, mrqc.reference(module).run({"x": array})["y"])
    assert found.reshape(-1).tolist() == [18, 13, 53, 33]


@pytest.mark.parametrize(("span", "operators"), [(1 / 16, 3), (1 / 32, 2)])
def test_logarithms_below_what_the_operator_of_tflite_holds_are_not_cut_off(span: float, operators: int) -> None:
    builder = GraphBuilder()
    x = builder.add_input("x", TensorType((1, 24), Element.per_tensor(DType.I8, span)))
    softmax = nn.LogSoftmax(x, Element.per_tensor(DType.I8, 0.25))
    module = Module("logarithms", builder.finish([Output("y", builder.emit(softmax))]))
    array = np.full((1, 24), 127, np.int8)
    array[0, ::2] = -128
    # The least result is -18.4, at half the span -10.5; the operator's codes end at -16.
    found = in_runtime(module, "tflite", array)["y"]
    assert np.abs(found.astype(int) - mrqc.reference(module).run({"x": array})["y"]).max() <= 1
    assert tflite.Model.GetRootAsModel(mrqc.emit_tflite(module), 0).Subgraphs(0).OperatorsLength() == operators
