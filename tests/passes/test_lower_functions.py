"""Functions of one code on hardware that only adds and multiplies: tables of what the reference computes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import mrqc
from mrqc.errors import TargetError
from mrqc.ir import DType, Element, GraphBuilder, Location, Module, Op, Output, TensorType, Value
from mrqc.ops import int as int_ops
from mrqc.ops import nn
from mrqc.passes import LowerToInt
from mrqc.targets import load_target

SOURCE = Element.per_tensor(DType.I8, 0.0625)
RESULT = Element.per_tensor(DType.I8, 0.03125)
BYTES = Element.per_tensor(DType.U8, 0.0625, 128)
WIDE = Element.per_tensor(DType.I16, 0.0625, 1)
FINE = Element.per_tensor(DType.I8, 2.0**-25)

FUNCTIONS: dict[str, Callable[[Value, Element], Op]] = {
    "leaky_relu": lambda x, element: nn.LeakyRelu(x, 0.1, element),
    "elu": lambda x, element: nn.Elu(x, 1.0, element),
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "hard_swish": nn.HardSwish,
    "gelu": lambda x, element: nn.Gelu(x, False, element),
    "approximate_gelu": lambda x, element: nn.Gelu(x, True, element),
    "abs": nn.Abs,
    "exp": nn.Exp,
    "log": nn.Log,
    "sqrt": nn.Sqrt,
    "rsqrt": nn.Rsqrt,
    "hard_sigmoid": lambda x, element: nn.HardSigmoid(x, 0.2, 0.5, element),
}


def module_of(make: Callable[..., Op], *elements: Element, shape: tuple[int, ...] = (1, 256)) -> Module:
    builder = GraphBuilder()
    operands = [builder.add_input(f"x{index}", TensorType(shape, element)) for index, element in enumerate(elements)]
    return Module("one", builder.finish([Output("y", builder.emit(make(*operands), Location.of("layer")))]))


@pytest.mark.parametrize("target", ["sym-npu", "pow2-npu"])
@pytest.mark.parametrize("make", FUNCTIONS.values(), ids=FUNCTIONS)
def test_a_function_becomes_a_table_of_the_reference(make: Callable[[Value, Element], Op], target: str) -> None:
    module = module_of(lambda x: make(x, RESULT), SOURCE, shape=(1, 4, 64))
    lowered = LowerToInt(load_target(target))(module)
    assert [type(statement.op) for statement in lowered.graph.statements] == [int_ops.Constant, int_ops.Table]
    codes = np.arange(-128, 128, dtype=np.int8).reshape(1, 4, 64)
    expected = mrqc.reference(module).run({"x0": codes})["y"]
    np.testing.assert_array_equal(mrqc.simulate(lowered).run({"x0": codes})["y"], expected)


@pytest.mark.parametrize("target", ["sym-npu", "pow2-npu"])
def test_a_difference_is_an_addition_with_a_negative_multiplier(target: str) -> None:
    module = module_of(lambda x, y: nn.Sub(x, y, element=SOURCE), SOURCE, RESULT)
    lowered = LowerToInt(load_target(target))(module)
    (statement,) = lowered.graph.statements
    assert isinstance(statement.op, int_ops.Add)
    assert statement.op.rhs_multiplier < 0 < statement.op.lhs_multiplier
    random = np.random.default_rng(0)
    inputs = {name: random.integers(-128, 128, (1, 256)).astype(np.int8) for name in ("x0", "x1")}
    found = mrqc.simulate(lowered).run(inputs)["y"].astype(int)
    assert np.abs(found - mrqc.reference(module).run(inputs)["y"]).max() <= 1


@pytest.mark.parametrize(
    ("target", "make", "elements", "message"),
    [
        ("tflite", lambda x, y: nn.Maximum(x, y, SOURCE), (SOURCE, RESULT), "the runtime compares codes"),
        ("sym-npu", lambda x, y: nn.Maximum(x, y, SOURCE), (SOURCE, RESULT), "must have the same scale"),
        ("tflite", lambda x: nn.HardSigmoid(x, 0.2, 0.5, RESULT), (SOURCE,), "cannot be run with the arithmetic"),
        ("tflite", lambda x: nn.Sigmoid(x, RESULT), (SOURCE,), "has a result of scale 1/256"),
        ("tflite", lambda x: nn.Softmax(x, 1.0, RESULT), (SOURCE,), "must result in codes of scale 0.00390625"),
        ("tflite", lambda x: nn.Elu(x, 0.5, RESULT), (SOURCE,), "an ELU with alpha 1"),
        ("tflite", lambda x: nn.Exp(x, BYTES), (BYTES,), "no such function of u8 codes"),
        ("tflite", lambda x: nn.Log(x, RESULT), (BYTES,), "from u8 to i8; the runtime keeps the type"),
        ("tflite", lambda x: nn.Gelu(x, True, WIDE), (WIDE,), "have zero points of 0"),
        ("tflite", lambda x: nn.Rsqrt(x, FINE), (FINE,), "overflows the runtime's 32 bits"),
        ("tflite", lambda x, y: nn.SquaredDifference(x, y, BYTES), (BYTES, BYTES), "the runtime has it for these"),
        ("tflite", lambda x, y: nn.SquaredDifference(x, y, FINE), (SOURCE, SOURCE), "the runtime gives up"),
        ("sym-npu", lambda x, y: nn.SquaredDifference(x, y, RESULT), (SOURCE, SOURCE), "the square of a difference"),
        ("onnxruntime", lambda x, y: nn.SquaredDifference(x, y, RESULT), (SOURCE, SOURCE), "computes it in floats"),
        ("sym-npu", lambda x, y: nn.Prelu(x, y, RESULT), (SOURCE, SOURCE), "a PReLU"),
        ("sym-npu", lambda x: nn.LogSoftmax(x, RESULT), (SOURCE,), "a log-softmax"),
    ],
)
def test_what_a_target_cannot_do_is_refused(
    target: str, make: Callable[..., Op], elements: tuple[Element, ...], message: str
) -> None:
    with pytest.raises(TargetError, match=message):
        LowerToInt(load_target(target))(module_of(make, *elements))


@pytest.mark.parametrize(("factor", "is_refused"), [(1.5, True), (1.0, True), (0.99, False), (0.5, False)])
def test_a_product_that_overflows_the_runtime_is_refused(factor: float, is_refused: bool) -> None:
    """Products of 16-bit codes reach 2**30, which may not be shifted to the left."""
    operand, result = Element.per_tensor(DType.I16, 0.0625), Element.per_tensor(DType.I16, 0.0625**2 / factor)
    module = module_of(lambda x, y: nn.Mul(x, y, element=result), operand, operand)
    check_refusal(module, "overflows the runtime's 32 bits", is_refused)


@pytest.mark.parametrize(("factor", "is_refused"), [(2.0**19, True), (2.0**18, False)])
def test_a_sum_that_the_runtime_gives_up_on_is_refused(factor: float, is_refused: bool) -> None:
    module = module_of(lambda x, y: nn.Add(x, y, element=Element.per_tensor(DType.I8, 1 / factor)), ONE, ONE)
    check_refusal(module, "the runtime gives up", is_refused)


@pytest.mark.parametrize(("factor", "is_refused"), [(2.0**24, True), (2.0**23, False)])
def test_a_rescale_that_overflows_the_runtime_is_refused(factor: float, is_refused: bool) -> None:
    """Codes of 8 bits without a zero point reach 2**7 on the negative side, and 2**31 still fits there."""
    module = module_of(lambda x: nn.Clip(x, (0.0, 6.0), Element.per_tensor(DType.I8, 1 / factor)), ONE)
    check_refusal(module, "overflows the runtime's 32 bits", is_refused)


ONE = Element.per_tensor(DType.I8, 1.0)


def check_refusal(module: Module, message: str, is_refused: bool) -> None:
    lower = LowerToInt(load_target("tflite"))
    if is_refused:
        with pytest.raises(TargetError, match=message):
            lower(module)
    else:
        lower(module)
