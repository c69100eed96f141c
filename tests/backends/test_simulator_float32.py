"""The ops in single precision, against their docstrings in exact fractions that are rounded after every step."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import mrqc
from mrqc.errors import TargetError
from mrqc.ir import Module, Op
from mrqc.numerics import fused_multiply_add
from mrqc.ops import int as ops
from mrqc.testing import inputs_for, op_modules, run_module

Array = NDArray[Any]


def single(exact: Fraction) -> Fraction:
    """Return the nearest single-precision number, ties to even."""
    if exact == 0:
        return exact
    exponent = math.floor(math.log2(abs(exact)))
    while abs(exact) < Fraction(2) ** exponent:
        exponent -= 1
    while abs(exact) >= Fraction(2) ** (exponent + 1):
        exponent += 1
    unit = Fraction(2) ** (max(exponent, -126) - 23)
    return round(exact / unit) * unit


def clamped(code: int, op: Any) -> int:
    return min(max(code, op.minimum), op.maximum)


def float_rescale(op: ops.FloatRescale, values: Array) -> Array:
    result = np.empty(values.shape, object)
    for index in np.ndindex(values.shape):
        scale = Fraction(op.scales[index[-1] if len(op.scales) > 1 else 0])
        product = single(single(Fraction(int(values[index]))) * scale)
        low, high = op.minimum - op.zero_point, op.maximum - op.zero_point
        result[index] = round(min(max(product, low), high)) + op.zero_point
    return result


def pair_table(op: ops.PairTable, lhs: Array, rhs: Array, table: Array) -> Array:
    least = op.lhs.type.dtype.minimum, op.rhs.type.dtype.minimum
    both = np.broadcast(lhs, rhs)
    codes = [table[int(a) - least[0], int(b) - least[1]] for a, b in both]
    return np.array(codes, object).reshape(both.shape)


def float_softmax(op: ops.FloatSoftmax, values: Array, table: Array) -> Array:
    result = np.empty(values.shape, object)
    for index in np.ndindex(values.shape[:-1]):
        row = [int(code) for code in values[index]]
        exponentials = [Fraction(float(table[255 - (max(row) - code)])) for code in row]
        total = Fraction(0)
        for exponential in exponentials:
            total = single(total + exponential)
        for place, exponential in enumerate(exponentials):
            # Double precision is as good as exact: a tie of such numbers is one in fractions too.
            share = exponential * Fraction(op.one) / total
            result[(*index, place)] = clamped(round(share) + op.zero_point, op)
    return result


def float_average_pool2d(op: ops.FloatAveragePool2D, images: Array, table: Array) -> Array:
    count, height, width, channels = images.shape
    rows, columns = op.window.output_size(height, width)
    result = np.empty((count, rows, columns, channels), object)
    for n, y, x, c in np.ndindex(result.shape):
        total, elements = Fraction(0), 0
        for i in range(y * op.strides[0] - op.padding[0], y * op.strides[0] - op.padding[0] + op.kernel[0]):
            for j in range(x * op.strides[1] - op.padding[1], x * op.strides[1] - op.padding[1] + op.kernel[1]):
                if 0 <= i < height and 0 <= j < width:
                    elements += 1
                    code = int(images[n, i, j, c]) - op.input.type.dtype.minimum
                    total = single(total + Fraction(float(table[code])))
        elements = op.kernel[0] * op.kernel[1] if op.count_include_pad else elements
        mean = single(total / elements)
        result[n, y, x, c] = clamped(round(single(single(mean / Fraction(op.scale)) + op.zero_point)), op)
    return result


def float_resize_bilinear(op: ops.FloatResizeBilinear, images: Array) -> Array:
    rows, columns = op.rows, op.columns
    result = np.empty((images.shape[0], len(rows.lower), len(columns.lower), images.shape[3]), object)
    for n, y, x, c in np.ndindex(*result.shape):
        down, across = Fraction(rows.weight[y]), Fraction(columns.weight[x])
        total = None
        for column, share in ((columns.lower[x], single(1 - across)), (columns.upper[x], across)):
            for row, part in ((rows.lower[y], single(1 - down)), (rows.upper[y], down)):
                term = single(single(int(images[n, row, column, c]) * part) * share)
                total = term if total is None else single(total + term)
        assert total is not None
        result[n, y, x, c] = min(math.floor(single(total + Fraction(1, 2))), 255)
    return result


def quantized(real: Fraction, op: Any) -> int:
    units = single(real / Fraction(op.scale))
    return round(min(max(units, op.minimum - op.zero_point), op.maximum - op.zero_point)) + op.zero_point


def table_resize_bilinear(op: ops.TableResizeBilinear, images: Array, table: Array) -> Array:
    rows, columns, least = op.rows, op.columns, op.input.type.dtype.minimum
    result = np.empty((images.shape[0], len(rows.lower), len(columns.lower), images.shape[3]), object)
    for n, y, x, c in np.ndindex(*result.shape):
        down, across = Fraction(rows.weight[y]), Fraction(columns.weight[x])
        total = None
        for row, part in ((rows.lower[y], single(1 - down)), (rows.upper[y], down)):
            for column, share in ((columns.lower[x], single(1 - across)), (columns.upper[x], across)):
                real = Fraction(float(table[int(images[n, row, column, c]) - least]))
                term = single(single(part * share) * real)
                total = term if total is None else single(total + term)
        assert total is not None
        result[n, y, x, c] = quantized(total, op)
    return result


def single_sum(terms: list[Fraction]) -> Fraction:
    total = terms[0]
    for term in terms[1:]:
        total = single(total + term)
    return total


def float_mean2d(op: ops.FloatMean2D, images: Array, table: Array) -> Array:
    count, height, width, channels = images.shape
    size, least = height * width, op.input.type.dtype.minimum
    result = np.empty((count, 1, 1, channels), object)
    for n, c in np.ndindex(count, channels):
        start = (n * channels + c) * size
        reals = [Fraction(float(table[int(code) - least])) for code in images[n, :, :, c].reshape(-1)]
        # Vectors are the multiples of four that lie in this channel as a whole.
        firsts = [place for place in range(size) if (start + place) % 4 == 0 and place + 4 <= size]
        if firsts:
            lanes = [lane_sum([reals[first + lane] for first in firsts]) for lane in range(4)]
            pairs = [single(lanes[0] + lanes[2]), single(lanes[1] + lanes[3])]
            total = single_sum([single_sum(pairs), *reals[: firsts[0]], *reals[firsts[-1] + 4 :]])
        else:
            total = single_sum(reals)
        result[n, 0, 0, c] = quantized(single(total / size), op)
    return result


def lane_sum(terms: list[Fraction]) -> Fraction:
    if len(terms) == 1:
        return terms[0]
    even = len(terms) // 2 * 2
    both = single(single_sum(terms[0:even:2]) + single_sum(terms[1:even:2]))
    return single_sum([both, *terms[even:]])


ORACLES: dict[type[Op], Callable[..., Array]] = {
    ops.FloatRescale: float_rescale,
    ops.PairTable: pair_table,
    ops.FloatSoftmax: float_softmax,
    ops.FloatAveragePool2D: float_average_pool2d,
    ops.FloatResizeBilinear: float_resize_bilinear,
    ops.TableResizeBilinear: table_resize_bilinear,
    ops.FloatMean2D: float_mean2d,
}


def expected(module: Module, inputs: dict[str, Array]) -> dict[str, Array]:
    values: dict[str, Array] = dict(inputs)
    for statement in module.graph.statements:
        op = statement.op
        if isinstance(op, ops.Constant):
            values[statement.result.name] = op.value.array
            continue
        found = ORACLES[type(op)](op, *(values[operand.name] for operand in op.operands))
        values[statement.result.name] = found.astype(statement.result.type.dtype.numpy)
    return {output.name: values[output.value.name] for output in module.graph.outputs}


@pytest.mark.parametrize("op", ops.FLOAT32_OPS, ids=lambda op: op.mnemonic)
@settings(max_examples=25)
@given(data=st.data())
def test_every_step_is_rounded_to_single_precision(op: type[Op], data: st.DataObject) -> None:
    module = data.draw(op_modules(op))
    inputs = data.draw(inputs_for(module))
    for name, wanted in expected(module, inputs).items():
        np.testing.assert_array_equal(run_module(module, inputs)[name], wanted)


@pytest.mark.parametrize("op", ops.FLOAT32_OPS, ids=lambda op: op.mnemonic)
@settings(max_examples=3)
@given(data=st.data())
def test_there_is_no_c_for_them(op: type[Op], data: st.DataObject) -> None:
    with pytest.raises(TargetError, match="as the runtime does"):
        mrqc.emit_c(data.draw(op_modules(op)))


SINGLES = st.floats(-1e6, 1e6, width=32)


@given(SINGLES, SINGLES, SINGLES)
def test_a_fused_product_is_rounded_once(first: float, second: float, addend: float) -> None:
    exact = Fraction(first) * Fraction(second) + Fraction(addend)
    assert Fraction(float(fused_multiply_add(first, second, addend))) == single(exact)


def test_a_fused_product_survives_the_rounding_in_between() -> None:
    """The sum lies just above the middle of two singles, by less than a double shows."""
    first, addend = np.float32(1 + 2**-12), np.float32(2.0**-70)
    # (1 + 2^-12)^2 = 1 + 2^-11 + 2^-24, a tie between singles; the addend breaks it.
    assert fused_multiply_add(first, first, addend) == np.float32(1 + 2**-11 + 2**-23)
    assert fused_multiply_add(first, first, -addend) == np.float32(1 + 2**-11)
