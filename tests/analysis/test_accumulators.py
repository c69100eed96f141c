"""Bounds of accumulators: never exceeded by any partial sum, and reached where the ranges allow it."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrqc.analysis.accumulators import AccumulatorBound, accumulator_bounds
from mrqc.analysis.ranges import code_ranges
from mrqc.ir import Data, DType, Element, GraphBuilder, Module, Output, TensorType, Value
from mrqc.numerics import Rounding
from mrqc.ops import int as ops

I8 = Element.per_tensor(DType.I8, 0.5)
U8 = Element.per_tensor(DType.U8, 0.5)
I32 = Element.per_tensor(DType.I32, 0.25)
ANY = ops.Requantize((1,), (8,), Rounding.HALF_UP, 0, -128, 127)


def constant(builder: GraphBuilder, array: np.ndarray) -> Value:
    data = Data(array)
    return builder.emit(ops.Constant(data, Element(data.dtype)))


def only_bound(builder: GraphBuilder, result: Value) -> AccumulatorBound:
    module = Module("m", builder.finish([Output("y", result)]))
    bounds = accumulator_bounds(module)
    assert bounds == accumulator_bounds(module, code_ranges(module))
    return bounds[result]


def dense_bound(
    weights: np.ndarray, bias: np.ndarray | None, low: int, high: int, element: Element = I8
) -> AccumulatorBound:
    builder = GraphBuilder()
    x = builder.add_input("x", TensorType((1, weights.shape[1]), element))
    clamped = builder.emit(ops.Clamp(x, low, high))
    bias_value = None if bias is None else constant(builder, bias.astype(np.int32))
    y = builder.emit(
        ops.FullyConnected(clamped, constant(builder, weights.astype(np.int8)), bias_value, requantize=ANY, element=I8)
    )
    return only_bound(builder, y)


@given(
    st.lists(st.lists(st.integers(-128, 127), min_size=3, max_size=3), min_size=1, max_size=3),
    st.lists(st.integers(-500, 500), min_size=3, max_size=3),
    st.integers(-128, 127),
    st.integers(-128, 127),
)
def test_no_partial_sum_in_any_order_exceeds_it(
    weights: list[list[int]], bias: list[int], one: int, other: int
) -> None:
    low, high = sorted((one, other))
    bound = dense_bound(np.array(weights), np.array(bias[: len(weights)]), low, high)
    greatest = 0
    for row, addend in zip(weights, bias, strict=False):
        for codes in itertools.product((low, high), repeat=3):
            terms = [*(code * weight for code, weight in zip(codes, row, strict=True)), addend]
            for count in range(1, 5):
                greatest = max(greatest, *(abs(sum(part)) for part in itertools.combinations(terms, count)))
    assert greatest <= bound.magnitude


def test_formula_on_a_case_worked_by_hand() -> None:
    # Codes from -10 to 20: 20 * (3 + 5) + 7 and 20 * (1 + 2) + 200.
    bound = dense_bound(np.array([[3, -5], [1, 2]]), np.array([-7, 200]), -10, 20)
    assert bound == AccumulatorBound(260, channel=1)
    assert dense_bound(np.array([[3, -5], [1, 2]]), None, -10, 20) == AccumulatorBound(160, channel=0)
    assert dense_bound(np.array([[3, -5], [1, 2]]), None, -30, 20) == AccumulatorBound(240, channel=0)


def test_codes_without_a_clamp_use_the_whole_dtype() -> None:
    assert dense_bound(np.array([[-128] * 4]), None, -128, 127).magnitude == 4 * 128 * 128
    assert dense_bound(np.array([[-128] * 4]), None, 0, 255, U8).magnitude == 4 * 255 * 128


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_convolutions_sum_over_one_group(groups: int) -> None:
    builder = GraphBuilder()
    x = builder.add_input("x", TensorType((1, 5, 5, 4), I8))
    weights = np.random.default_rng(groups).integers(-128, 128, (8, 3, 2, 4 // groups)).astype(np.int8)
    bias = np.random.default_rng(9).integers(-1000, 1000, 8).astype(np.int32)
    y = builder.emit(
        ops.Conv2D(x, constant(builder, weights), constant(builder, bias), groups=groups, requantize=ANY, element=I8)
    )
    totals = [128 * sum(abs(int(w)) for w in weights[o].flat) + abs(int(bias[o])) for o in range(8)]
    assert only_bound(builder, y) == AccumulatorBound(max(totals), totals.index(max(totals)))


def test_weights_that_are_computed_are_bounded_by_their_range() -> None:
    builder = GraphBuilder()
    x = builder.add_input("x", TensorType((1, 3), I8))
    weight = builder.emit(ops.Clamp(builder.add_input("w", TensorType((2, 3), I8)), -4, 2))
    bias = builder.add_input("b", TensorType((2,), I32))
    y = builder.emit(ops.FullyConnected(x, weight, bias, requantize=ANY, element=I8))
    assert only_bound(builder, y).magnitude == 3 * 128 * 4 + (1 << 31)


def test_additions() -> None:
    builder = GraphBuilder()
    x = builder.emit(ops.Clamp(builder.add_input("x", TensorType((1, 3), I8)), -10, 20))
    y = builder.add_input("y", TensorType((1, 3), U8))
    total = builder.emit(ops.Add(x, y, 1000, 7, ANY, I8))
    assert only_bound(builder, total) == AccumulatorBound(20 * 1000 + 255 * 7)


def test_average_pools() -> None:
    builder = GraphBuilder()
    x = builder.add_input("x", TensorType((1, 7, 7, 2), I8))
    y = builder.emit(ops.AveragePool2D(x, (7, 5), (1, 1), (0, 0, 0, 0), ANY, I8))
    assert only_bound(builder, y) == AccumulatorBound(35 * 128)


@pytest.mark.parametrize(("zero_point", "expected"), [(0, 255), (255, 255), (128, 128), (100, 155)])
def test_rescales(zero_point: int, expected: int) -> None:
    builder = GraphBuilder()
    x = builder.add_input("x", TensorType((1, 3), U8))
    y = builder.emit(ops.Rescale(x, zero_point, ANY, I8))
    assert only_bound(builder, y) == AccumulatorBound(expected)


def test_ops_that_do_not_accumulate_are_absent() -> None:
    builder = GraphBuilder()
    x = builder.add_input("x", TensorType((1, 4, 4, 2), I8))
    pooled = builder.emit(ops.MaxPool2D(x, (2, 2), (2, 2), (0, 0, 0, 0)))
    y = builder.emit(ops.Transpose(builder.emit(ops.Clamp(pooled, 0, 5)), (0, 3, 1, 2)))
    assert accumulator_bounds(Module("m", builder.finish([Output("y", y)]))) == {}


@pytest.mark.parametrize(
    ("magnitude", "bits"), [(0, 1), (1, 2), (127, 8), (128, 9), ((1 << 31) - 1, 32), (1 << 31, 33)]
)
def test_bits_of_a_register_that_holds_the_bound(magnitude: int, bits: int) -> None:
    assert AccumulatorBound(magnitude).needs_bits == bits
