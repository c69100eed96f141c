"""The verifier finds what is wrong, and all of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from mrqc.ir import Data, DType, Element, Graph, Location, Module, Output, Statement, TensorType, Value, verify
from mrqc.numerics import Rounding
from mrqc.ops import int as int_ops
from mrqc.ops import nn
from mrqc.testing import int_modules, nn_modules

ELEMENT = Element.per_tensor(DType.I8, 0.5)
CODES = TensorType((1, 4), ELEMENT)
IMAGE = TensorType((1, 4, 4, 2), ELEMENT)
X, Y, Z = (Value(name, CODES) for name in "xyz")
PICTURE = Value("picture", IMAGE)
REQUANTIZE = int_ops.Requantize((1,), (3,), Rounding.HALF_UP, 0, -128, 127)


def module_of(*statements: Statement, inputs: tuple[Value, ...] = (X,), name: str = "m") -> Module:
    """Return a module whose output is the last result."""
    return Module(name, Graph(inputs, statements, (Output("out", statements[-1].result),)))


def messages(module: Module) -> str:
    return "\n".join(map(str, verify(module)))


def add(result: Value, lhs: Value, rhs: Value) -> Statement:
    return Statement((result,), nn.Add(lhs, rhs, element=result.type.element), Location.of("layer"))


@given(nn_modules(float_io=None))
def test_drawn_nn_modules_are_well_formed(module: Module) -> None:
    assert verify(module) == []


@given(int_modules())
def test_drawn_int_modules_are_well_formed(module: Module) -> None:
    assert verify(module) == []


def test_a_value_is_used_after_it_is_defined() -> None:
    found = messages(module_of(add(Y, X, Z), add(Z, X, Y)))
    assert found == "%y = nn.add from layer: %z is used before it is defined"


def test_a_value_is_used_at_its_type() -> None:
    other = Value("x", TensorType((1, 4), Element.per_tensor(DType.I8, 0.25)))
    assert "%x is used at another type" in messages(module_of(add(Y, other, other)))


def test_a_value_is_defined_once() -> None:
    assert "%x is defined twice" in messages(module_of(add(X, X, X)))


def test_a_result_has_the_inferred_shape() -> None:
    wrong = Value("y", TensorType((1, 5), ELEMENT))
    assert "%y has shape [1, 4], not [1, 5]" in messages(module_of(add(wrong, X, X)))


def test_a_result_has_the_inferred_element() -> None:
    wrong = Value("y", TensorType((1, 4), Element.per_tensor(DType.I8, 0.125)))
    statement = Statement((wrong,), nn.Add(X, X, element=ELEMENT))
    assert "%y is not of the element type that the op gives" in messages(module_of(statement))


def test_the_number_of_results_is_that_of_the_op() -> None:
    statement = Statement((Y, Z), nn.Add(X, X, element=ELEMENT))
    module = Module("m", Graph((X,), (statement,), (Output("out", Y),)))
    assert "has 1 results, 2 are named" in messages(module)


def test_a_module_has_an_output() -> None:
    assert "at least one output" in messages(Module("m", Graph((X,), (), ())))


def test_output_names_are_unique() -> None:
    module = Module("m", Graph((X,), (), (Output("out", X), Output("out", X))))
    assert "output name 'out' is used twice" in messages(module)


def test_an_output_is_defined() -> None:
    module = Module("m", Graph((X,), (), (Output("out", Y),)))
    assert "%y is used before it is defined" in messages(module)


@pytest.mark.parametrize("name", ["", "2fast", "a-b", "a b", "größe"])
def test_a_module_name_is_a_c_identifier(name: str) -> None:
    assert "must be a C identifier" in messages(module_of(add(Y, X, X), name=name))


def test_everything_is_found_at_once() -> None:
    wrong = add(Value("y", TensorType((1, 5), ELEMENT)), X, X)
    assert len(verify(replace(module_of(wrong, add(Z, Z, X)), name="a-b"))) == 3


@pytest.mark.parametrize(
    ("op", "message"),
    [
        (nn.Clip(X, (0, 6), ELEMENT), "attribute clamp = (0, 6) is not of type"),
        (nn.Clip(X, [0.0, 6.0], ELEMENT), "attribute clamp = [0.0, 6.0] is not of type"),
        (nn.Clip(X, (0.0, 6.0, 7.0), ELEMENT), "attribute clamp"),
        (nn.MaxPool2D(PICTURE, (True, 1), element=ELEMENT), "attribute kernel = (True, 1)"),
        (nn.MaxPool2D(PICTURE, (np.int64(1), 1), element=ELEMENT), "attribute kernel"),
        (nn.Constant(np.zeros(3, np.int8), ELEMENT), "attribute value"),
        (int_ops.Rescale(X, 0, replace(REQUANTIZE, rounding="half-up"), ELEMENT), "attribute requantize"),
        (int_ops.Rescale(X, 0, replace(REQUANTIZE, shift=(1.0,)), ELEMENT), "attribute requantize"),
    ],
)
def test_attributes_have_exactly_the_declared_type(op: Any, message: str) -> None:
    found = messages(module_of(Statement((Y,), op), inputs=(X, PICTURE)))
    assert message in found


def weight(shape: tuple[int, ...]) -> Value:
    return Value("weight", TensorType(shape, ELEMENT))


@pytest.mark.parametrize(
    ("op", "message"),
    [
        (nn.Clip(X, (6.0, 0.0), ELEMENT), "the clamp [6.0, 0.0] is empty"),
        (nn.Clip(X, (float("nan"), 0.0), ELEMENT), "is empty"),
        (nn.Reshape(X, (3,)), "4 elements cannot take shape [3]"),
        (nn.Transpose(X, (0, 0)), "[0, 0] is no permutation of 2 axes"),
        (nn.Dequantize(Value("real", TensorType((1,), Element(DType.F32)))), "must be quantized"),
        (nn.Quantize(X, Element(DType.F32)), "must be quantized"),
        (nn.Add(X, Value("other", TensorType((1, 5), ELEMENT))), "shapes [1, 4] and [1, 5] differ"),
        (nn.Constant(Data(np.zeros(3, np.uint8)), ELEMENT), "the data is u8, the type says i8"),
        (nn.Conv2D(X, weight((1, 1, 1, 1))), "must be NHWC"),
        (nn.Conv2D(PICTURE, weight((4, 1, 1, 3))), "3 input channels a group, the input has 2"),
        (nn.Conv2D(PICTURE, weight((3, 1, 1, 1)), groups=2), "2 groups do not divide"),
        (nn.Conv2D(PICTURE, weight((1, 5, 5, 2))), "a window of 5x5 does not fit an input of 4x4"),
        (nn.Conv2D(PICTURE, weight((1, 3, 3, 2)), dilations=(2, 2)), "a window of 5x5 does not fit"),
        (nn.Conv2D(PICTURE, weight((1, 1, 1, 2)), strides=(0, 1)), "must be at least 1"),
        (nn.Conv2D(PICTURE, weight((1, 1, 1, 2)), padding=(-1, 0, 0, 0)), "must not be negative"),
        (nn.Conv2D(PICTURE, weight((1, 1, 1, 2)), weight((2,))), "bias must have shape [1], found [2]"),
        (nn.FullyConnected(X, weight((2, 3))), "weights for 3 inputs, the input has 4"),
        (nn.FullyConnected(PICTURE, weight((2, 2))), "must have rank 2"),
        (nn.MaxPool2D(PICTURE, (2, 2), padding=(2, 0, 0, 0)), "without a single element"),
        (nn.MaxPool2D(X, (1, 1)), "must be NHWC, found rank 2"),
        (int_ops.Clamp(X, 5, 4), "the clamp [5, 4] is not an interval of i8"),
        (int_ops.Clamp(X, 0, 128), "the clamp [0, 128] is not an interval of i8"),
        (int_ops.Rescale(X, 128, REQUANTIZE, ELEMENT), "zero point 128 is no code of i8"),
        (int_ops.Rescale(X, 0, replace(REQUANTIZE, shift=(63,)), ELEMENT), "shifts must lie between 0 and 62"),
        (int_ops.Rescale(X, 0, replace(REQUANTIZE, multiplier=(-1,)), ELEMENT), "between 0 and 2^31 - 1"),
        (int_ops.Rescale(X, 0, replace(REQUANTIZE, multiplier=(1 << 31,)), ELEMENT), "between 0 and 2^31 - 1"),
        (int_ops.Rescale(X, 0, replace(REQUANTIZE, shift=(1, 2)), ELEMENT), "2 entries of shift for 1 channels"),
        (int_ops.Rescale(X, 0, replace(REQUANTIZE, zero_point=128), ELEMENT), "zero point 128 is no code"),
        (int_ops.Add(X, X, 0, 1, REQUANTIZE, ELEMENT), "between 1 and 2^22 - 1, found 0"),
        (int_ops.Softmax(X, weight((256,)), 256, 0, -128, 127, ELEMENT), "256 entries of i32"),
    ],
)
def test_each_rule_of_an_op_has_its_sentence(op: Any, message: str) -> None:
    operands = tuple(dict.fromkeys(op.operands))
    found = messages(module_of(Statement((Y,), op), inputs=operands or (X,)))
    assert message in found


def test_an_integer_op_takes_no_floats() -> None:
    real = Value("real", TensorType((1, 4), Element(DType.F32)))
    found = messages(module_of(Statement((Y,), int_ops.Clamp(real, 0, 1)), inputs=(real,)))
    assert "activations must be i8, u8, i16; %real is f32" in found


def test_a_bad_input_type_is_reported_once_with_its_name() -> None:
    bad = Value("x", TensorType((1, 4), Element.per_tensor(DType.I8, -1.0)))
    found = verify(Module("m", Graph((bad,), (), (Output("out", bad),))))
    assert [str(diagnostic) for diagnostic in found] == ["input %x: scales must be positive and finite, found -1.0"]
