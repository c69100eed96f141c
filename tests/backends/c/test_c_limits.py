"""What cannot be emitted is refused with every reason at once; what looks as if, but can, is not."""

from collections.abc import Callable

import numpy as np
import pytest
from compiled_cases import assert_bits

from mrqc.backends.c import emit_c, memory_report
from mrqc.backends.c.binding import Scaling
from mrqc.backends.c.requantize import INT32_MAXIMUM, choose_scaling
from mrqc.errors import TargetError
from mrqc.ir import FLOAT, Data, DType, Element, GraphBuilder, Location, Module, Output, TensorType, Value
from mrqc.numerics import Rounding
from mrqc.ops import int as ops
from mrqc.ops import nn

I8, I16, I32 = (Element(dtype) for dtype in (DType.I8, DType.I16, DType.I32))
PLAIN = ops.Requantize((1,), (6,), Rounding.HALF_UP, 0, -128, 127)
LOCATION = Location.of("model/layer")


def module_of(build: Callable[[GraphBuilder], Value]) -> Module:
    builder = GraphBuilder()
    return Module("limits", builder.finish([Output("y", build(builder))]))


def constant(builder: GraphBuilder, array: np.ndarray) -> Value:
    data = Data(array)
    return builder.emit(ops.Constant(data, Element(data.dtype)))


def fully_connected(depth: int, bias: int) -> Module:
    """Return a layer whose accumulator reaches ``depth * 128 * 128 + bias``."""

    def build(builder: GraphBuilder) -> Value:
        x = builder.add_input("x", TensorType((1, depth), I8))
        weights = constant(builder, np.full((1, depth), -128, np.int8))
        biases = constant(builder, np.array([bias], np.int32))
        op = ops.FullyConnected(x, weights, biases, requantize=PLAIN, element=I8)
        return builder.emit(op, LOCATION)

    return module_of(build)


def test_an_accumulator_that_can_overflow_is_refused() -> None:
    def build(builder: GraphBuilder) -> Value:
        x = builder.add_input("x", TensorType((1, 256, 256, 1), I16))
        return builder.emit(ops.AveragePool2D(x, (256, 256), (1, 1), (0, 0, 0, 0), PLAIN, I8), LOCATION)

    with pytest.raises(TargetError, match=r"model/layer: channel 0 .* can reach 2147483648 and overflow 32 bits"):
        emit_c(module_of(build))


@pytest.mark.parametrize("beyond", [-1, 0], ids=["32 bits", "64 bits"])
def test_a_sum_of_products_is_exact_on_both_sides_of_32_bits(beyond: int) -> None:
    module = fully_connected(1, (1 << 31) - (1 << 14) + beyond)
    assert ("int64_t accumulators" in emit_c(module)["kernel.c"]) == (beyond == 0)
    assert_bits([module], sanitize=True)


def test_weights_bias_and_table_must_be_known() -> None:
    def build(builder: GraphBuilder) -> Value:
        x = builder.add_input("x", TensorType((2, 3), I8))
        weights = builder.add_input("weights", TensorType((4, 3), I8))
        bias = builder.add_input("bias", TensorType((4,), I32))
        y = builder.emit(ops.FullyConnected(x, weights, bias, requantize=PLAIN, element=I8), LOCATION)
        table = builder.add_input("table", TensorType((256,), I32))
        return builder.emit(ops.Softmax(y, table, 256, -128, -128, 127, I8), Location.of("model/softmax"))

    with pytest.raises(TargetError) as caught:
        memory_report(module_of(build))
    assert [(found.location, found.message) for found in caught.value.diagnostics] == [
        ("model/layer", "the weights must be a constant in C, found a computed value"),
        ("model/layer", "the bias must be a constant in C, found a computed value"),
        ("model/softmax", "the table must be a constant in C, found a computed value"),
    ]


def test_floats_and_foreign_ops_are_refused() -> None:
    def build(builder: GraphBuilder) -> Value:
        x = builder.add_input("x", TensorType((2, 3), FLOAT))
        return builder.emit(nn.Quantize(x, Element.per_tensor(DType.I8, 0.5)), LOCATION)

    with pytest.raises(TargetError, match=r"2 problems") as caught:
        emit_c(module_of(build))
    assert "the C has no floating point" in str(caught.value)
    assert "nn.quantize is not an integer op (lower the module first)" in str(caught.value)


def test_a_float_constant_that_nothing_uses_does_no_harm() -> None:
    def build(builder: GraphBuilder) -> Value:
        builder.emit(ops.Constant(Data(np.ones(3, np.float32)), FLOAT))
        return builder.emit(ops.Clamp(builder.add_input("x", TensorType((2,), I8)), 0, 1))

    assert_bits([module_of(build)])


def test_a_sum_beyond_64_bits_is_refused() -> None:
    def build(builder: GraphBuilder) -> Value:
        x = builder.add_input("x", TensorType((2,), I16))
        greatest = (1 << 22) - 1
        scales = ops.Requantize(((1 << 31) - 1,), (60,), Rounding.HALF_UP, 0, -128, 127)
        return builder.emit(ops.Add(x, x, greatest, greatest, scales, I8), LOCATION)

    with pytest.raises(TargetError, match="model/layer: the scaled sum does not fit 64 bits"):
        emit_c(module_of(build))


@pytest.mark.parametrize("table", [[0] * 256, [5] + [-1] * 255], ids=["begins with 0", "negative"])
def test_a_softmax_table_that_would_divide_by_zero_is_refused(table: list[int]) -> None:
    def build(builder: GraphBuilder) -> Value:
        x = builder.add_input("x", TensorType((2, 3), I8))
        entries = constant(builder, np.array(table, np.int32))
        return builder.emit(ops.Softmax(x, entries, 256, -128, -128, 127, I8), LOCATION)

    with pytest.raises(TargetError, match="model/layer: a softmax table must"):
        emit_c(module_of(build))


def test_a_transpose_of_too_many_axes_is_refused() -> None:
    def build(builder: GraphBuilder) -> Value:
        x = builder.add_input("x", TensorType((2,) * 9, I8))
        return builder.emit(ops.Transpose(x, tuple(reversed(range(9)))), LOCATION)

    with pytest.raises(TargetError, match=r"model/layer: int\.transpose works on 9 axes at once, more than 8"):
        emit_c(module_of(build))


def test_a_tensor_too_large_to_index_is_refused() -> None:
    def build(builder: GraphBuilder) -> Value:
        x = builder.add_input("x", TensorType((1 << 16, 1 << 15), I8))
        return builder.emit(ops.Clamp(x, 0, 1), LOCATION)

    with pytest.raises(TargetError, match=r"input 'x': .*2147483648 elements"):
        emit_c(module_of(build))


@pytest.mark.parametrize(
    ("rounding", "shift", "magnitude"),
    [
        (Rounding.FLOOR, 31, INT32_MAXIMUM - 7),
        (Rounding.HALF_UP, 31, INT32_MAXIMUM - 7 - (1 << 30)),
        (Rounding.HALF_EVEN, 5, INT32_MAXIMUM - 7 - (1 << 4)),
        (Rounding.HALF_AWAY, 0, INT32_MAXIMUM - 7),
        (Rounding.TO_ZERO, 20, INT32_MAXIMUM - 7 - (1 << 20) + 1),
        (Rounding.DOUBLE, 31, INT32_MAXIMUM - 7 - (1 << 30)),
    ],
)
def test_32_bits_are_used_up_to_the_last_value_that_fits(rounding: Rounding, shift: int, magnitude: int) -> None:
    scales = ops.Requantize((1,), (shift,), rounding, -7, -128, 127)
    assert choose_scaling(scales, magnitude) is Scaling.SHIFT
    assert choose_scaling(scales, magnitude + 1) in (Scaling.MULTIPLIER, Scaling.WIDE_MULTIPLIER)


@pytest.mark.parametrize(
    ("multiplier", "shift", "magnitude"),
    [(3, 0, (INT32_MAXIMUM - 8) // 3), ((1 << 31) - 1, 30, (1 << 30) - 4), (1, 62, INT32_MAXIMUM)],
)
def test_products_are_clamped_in_32_bits_only_if_they_fit(multiplier: int, shift: int, magnitude: int) -> None:
    scales = ops.Requantize((multiplier,), (shift,), Rounding.HALF_UP, -7, -128, 127)
    assert choose_scaling(scales, magnitude) is Scaling.MULTIPLIER
    if shift < 62:
        assert choose_scaling(scales, magnitude + 8) is Scaling.WIDE_MULTIPLIER


def test_entries_for_each_channel_that_are_all_alike_are_one() -> None:
    alike = ops.Requantize((1, 1, 1), (4, 4, 4), Rounding.FLOOR, 0, -128, 127)
    assert choose_scaling(alike, 1000) is Scaling.SHIFT
    assert choose_scaling(ops.Requantize((1,), (4, 5), Rounding.FLOOR, 0, -128, 127), 9) is Scaling.CHANNEL_SHIFT
    mixed = ops.Requantize((1, 2), (4,), Rounding.FLOOR, 0, -128, 127)
    assert choose_scaling(mixed, 9) is Scaling.CHANNEL_MULTIPLIER
    assert choose_scaling(ops.Requantize((1,), (4, 32), Rounding.FLOOR, 0, -128, 127), 9) is Scaling.CHANNEL_MULTIPLIER
