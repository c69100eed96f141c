"""Ranges of codes: sound for any input, and as tight as promised."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from mrqc.analysis.ranges import code_ranges
from mrqc.backends.simulator import Program
from mrqc.ir import FLOAT, Data, DType, Element, GraphBuilder, Module, Op, Output, TensorType, Value
from mrqc.numerics import Rounding
from mrqc.ops import int as ops

I8 = Element.per_tensor(DType.I8, 0.5)
U8 = Element.per_tensor(DType.U8, 0.5)
I16 = Element.per_tensor(DType.I16, 0.5)
IMAGES = TensorType((1, 4, 4, 2), I8)


def requantize(low: int, high: int) -> ops.Requantize:
    return ops.Requantize((3,), (4,), Rounding.HALF_UP, 0, low, high)


def range_of(input_: TensorType, *makers) -> tuple[int, int]:
    """Apply the ops one after the other; return the range of the last result, checked by random inputs."""
    builder = GraphBuilder()
    value = builder.add_input("x", input_)
    for make in makers:
        value = builder.emit(make(value))
    module = Module("m", builder.finish([Output("y", value)]))
    ranges = code_ranges(module)
    assert list(ranges) == list(module.graph.values())
    random = np.random.default_rng(0)
    codes = random.integers(input_.dtype.minimum, input_.dtype.maximum + 1, (64 * input_.shape[0], *input_.shape[1:]))
    for name, array in Program(module).trace(codes.astype(input_.dtype.numpy)).items():
        low, high = next(ranges[value] for value in ranges if value.name == name)
        assert low <= array.min()
        assert array.max() <= high
    return ranges[value]


@pytest.mark.parametrize("element", [I8, U8, I16])
def test_inputs_hold_every_code(element: Element) -> None:
    assert range_of(TensorType((2, 3), element)) == (element.dtype.minimum, element.dtype.maximum)


def test_constants_hold_what_they_hold() -> None:
    builder = GraphBuilder()
    value = builder.emit(ops.Constant(Data(np.array([[3, -7], [0, 5]], np.int8)), I8))
    turned = builder.emit(ops.Transpose(value, (1, 0)))
    module = Module("m", builder.finish([Output("y", turned)]))
    assert code_ranges(module) == {value: (-7, 5), turned: (-7, 5)}


@pytest.mark.parametrize(
    "make",
    [
        lambda x: ops.MaxPool2D(x, (2, 2), (1, 1), (1, 1, 1, 1)),
        lambda x: ops.Reshape(x, (1, 32)),
        lambda x: ops.Transpose(x, (0, 3, 1, 2)),
    ],
)
def test_what_moves_codes_passes_the_range_on(make) -> None:
    assert range_of(IMAGES, lambda x: ops.Clamp(x, -3, 70), make) == (-3, 70)


def test_clamps_intersect() -> None:
    assert range_of(IMAGES, lambda x: ops.Clamp(x, -3, 70), lambda x: ops.Clamp(x, 10, 127)) == (10, 70)
    assert range_of(IMAGES, lambda x: ops.Clamp(x, -3, 70), lambda x: ops.Clamp(x, 100, 120)) == (100, 100)
    assert range_of(IMAGES, lambda x: ops.Clamp(x, -3, 70), lambda x: ops.Clamp(x, -9, -5)) == (-5, -5)


@pytest.mark.parametrize(
    "make",
    [
        lambda x: ops.Rescale(x, 4, requantize(-20, 30), I8),
        lambda x: ops.Add(x, x, 1, 2, requantize(-20, 30), I8),
        lambda x: ops.AveragePool2D(x, (2, 2), (1, 1), (0, 0, 0, 0), requantize(-20, 30), I8),
    ],
)
def test_requantized_values_keep_their_limits(make) -> None:
    assert range_of(IMAGES, make) == (-20, 30)


def test_contractions_keep_their_limits() -> None:
    builder = GraphBuilder()
    x = builder.add_input("x", IMAGES)
    weight = builder.emit(ops.Constant(Data(np.ones((3, 1, 1, 2), np.int8)), I8))
    y = builder.emit(ops.Conv2D(x, weight, requantize=requantize(-20, 30), element=I8))
    flat = builder.emit(ops.Reshape(y, (1, 48)))
    dense = builder.emit(ops.Constant(Data(np.ones((3, 48), np.int8)), I8))
    z = builder.emit(ops.FullyConnected(flat, dense, requantize=requantize(0, 9), element=I8))
    ranges = code_ranges(Module("m", builder.finish([Output("z", z)])))
    assert (ranges[y], ranges[flat], ranges[z]) == ((-20, 30), (-20, 30), (0, 9))


def test_softmax_keeps_its_limits() -> None:
    builder = GraphBuilder()
    x = builder.add_input("x", TensorType((1, 9), I8))
    table = builder.emit(ops.Constant(Data(np.arange(256, 0, -1, np.int32)), Element(DType.I32)))
    y = builder.emit(ops.Softmax(x, table, 256, -128, -120, 127, I8))
    assert code_ranges(Module("m", builder.finish([Output("y", y)])))[y] == (-120, 127)


@dataclass(frozen=True)
class UnheardOf(Op):
    """An op that the analysis does not know."""

    mnemonic: ClassVar[str] = "int.unheard_of"
    input: Value

    def infer(self) -> tuple[TensorType, ...]:
        return (TensorType((1,), U8),)


def test_an_unknown_op_has_the_range_of_its_dtype() -> None:
    builder = GraphBuilder()
    floats = builder.add_input("f", TensorType((1,), FLOAT))
    y = builder.emit(UnheardOf(floats))
    assert code_ranges(Module("m", builder.finish([Output("y", y)]))) == {y: (0, 255)}
