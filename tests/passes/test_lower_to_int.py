"""Scales as integers: multipliers, shifts, clamps; and what is refused."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import Network, i8, u8, weights

from mrqc.backends.reference import ReferenceProgram
from mrqc.backends.simulator import Program
from mrqc.errors import RefusalError, TargetError
from mrqc.ir import DType, Element, Module
from mrqc.numerics import Rounding
from mrqc.ops import int as int_ops
from mrqc.ops import nn
from mrqc.passes import LowerToInt
from mrqc.passes.bit_check import random_inputs
from mrqc.passes.lower_to_int.multipliers import Arithmetic, common_grid
from mrqc.targets import load_target

POW2, SYM = load_target("pow2-npu"), load_target("sym-npu")
SHIFTS = Arithmetic(True, 31, (0, 31), Rounding.HALF_UP)
FIXED = Arithmetic(False, 31, (0, 62), Rounding.HALF_UP)


@given(st.floats(2.0**-28, 2.0**28))
def test_a_fixed_point_factor_is_within_half_a_unit(real: float) -> None:
    factor = FIXED.factor(real)
    assert abs(Fraction(factor.multiplier, 1 << factor.shift) - Fraction(real)) <= Fraction(real) / 2**31


@given(st.integers(0, 31))
def test_a_power_of_two_needs_no_multiplier(shift: int) -> None:
    for arithmetic in (SHIFTS, FIXED):
        factor = arithmetic.factor(2.0**-shift)
        assert (factor.multiplier, factor.shift) == (1, shift)


def test_far_too_small_ratios_lose_low_bits_and_stay_in_range() -> None:
    factor = FIXED.factor(1.3 * 2.0**-40)
    assert factor.shift == 62
    assert factor.multiplier == math.floor(1.3 * 2**22)
    assert FIXED.factor(2.0**-90).shift == 62


def test_a_shift_by_more_than_the_target_has_is_refused() -> None:
    with pytest.raises(RefusalError, match=r"needs a right shift by 32, outside \[0, 31\]"):
        SHIFTS.factor(2.0**-32)
    with pytest.raises(RefusalError, match=r"needs a right shift by -1, outside \[0, 31\]"):
        SHIFTS.factor(2.0)
    with pytest.raises(RefusalError, match="no power of two"):
        SHIFTS.factor(0.3)


@given(st.floats(2.0**-8, 2.0**8), st.floats(2.0**-8, 2.0**8))
def test_operands_of_an_addition_share_a_grid(first: float, second: float) -> None:
    lhs, rhs, shift = common_grid(first, second, FIXED)
    assert max(lhs, rhs) < 2**22
    assert max(lhs, rhs) >= 2**21
    for multiplier, ratio in ((lhs, first), (rhs, second)):
        assert abs(Fraction(multiplier, 1 << shift) - Fraction(ratio)) <= Fraction(1, 2 << shift)


@given(st.integers(-8, 8), st.integers(-8, 8))
def test_shifted_operands_are_exact(first: int, second: int) -> None:
    lhs, rhs, shift = common_grid(2.0**first, 2.0**second, SHIFTS)
    assert Fraction(lhs, 1 << shift) == Fraction(2) ** first
    assert Fraction(rhs, 1 << shift) == Fraction(2) ** second
    assert shift == max(0, -first, -second)


def lone_conv(clamp: tuple[float, float] = nn.UNBOUNDED, out: Element | None = None) -> Module:
    net = Network()
    x = net.input((1, 6, 6, 3), 0.02, 0, DType.I8)
    y = net.conv(
        x,
        weights((5, 3, 3, 3), 0),
        i8(0.003),
        out or i8(0.041),
        bias=[5, -900, 30, 0, 7],
        padding=(1, 0, 1, 2),
        strides=(2, 1),
        clamp=clamp,
    )
    return net.finish(y)


@pytest.mark.parametrize("clamp", [nn.UNBOUNDED, (0.0, math.inf), (0.0, 3.0), (-1.03, 2.5)])
def test_a_31_bit_multiplier_gives_the_reference_but_for_ties(clamp: tuple[float, float]) -> None:
    source = lone_conv(clamp)
    inputs = random_inputs(source, 8)
    before = ReferenceProgram(source).run(inputs)["y"].astype(int)
    after = Program(LowerToInt(SYM)(source)).run(inputs)["y"].astype(int)
    difference = np.abs(before - after)
    assert difference.max() <= 1
    assert np.mean(difference != 0) < 1e-3


def test_clamps_become_codes() -> None:
    (statement,) = [
        s for s in LowerToInt(SYM)(lone_conv((0.0, 3.0))).graph.statements if isinstance(s.op, int_ops.Conv2D)
    ]
    assert (statement.op.requantize.minimum, statement.op.requantize.maximum) == (0, round(3.0 / 0.041))
    assert statement.location.sources == ("conv",)


def test_strides_of_a_window_that_steps_nowhere_are_no_demand_on_the_target() -> None:
    net = Network()
    image = net.input((1, 9, 7, 2), 0.1, 0, DType.I8)
    along = net.emit(nn.AveragePool2D(image, (9, 3), (9, 2), element=i8(0.1)), "along")
    module = LowerToInt(SYM)(net.finish(net.emit(nn.AveragePool2D(along, (1, 2), (2, 1), element=i8(0.1)), "rest")))
    assert [s.op.strides for s in module.graph.statements if isinstance(s.op, int_ops.AveragePool2D)] == [
        (1, 2),
        (1, 1),
    ]


def test_softmax_sums_to_one_and_keeps_the_order() -> None:
    net = Network()
    x = net.input((1, 1001), 0.1, 0, DType.I8)
    module = LowerToInt(POW2)(net.finish(net.emit(nn.Softmax(x, element=i8(2.0**-7)), "softmax")))
    codes = np.full((1, 1001), -128, np.int8)
    codes[0, 7], codes[0, 8] = 40, 33
    result = Program(module)(codes).astype(int)
    expected = np.exp(0.1 * codes.astype(float))
    expected /= expected.sum()
    assert np.abs(result / 128 - expected).max() <= 0.5 / 128 + 1e-3
    assert result[0].argmax() == 7


REFUSALS = {
    "zero point": (
        lambda net: net.emit(nn.Add(*[net.input((1, 2), 0.1, 3)] * 2, element=i8(0.1)), "sum"),
        "sum: .* zero point 3",
    ),
    "max pool scale": (
        lambda net: net.emit(nn.MaxPool2D(net.input((1, 2, 2, 1), 0.1, 0), (2, 2), element=i8(0.2)), "pool"),
        "pool: a max pool cannot change the scale",
    ),
    "clip scale": (
        lambda net: net.emit(nn.Clip(net.input((1, 2), 0.1, 0), (0.0, 1.0), i8(0.2)), "clip"),
        "clip: a clip cannot change the scale",
    ),
    "border counts": (
        lambda net: net.emit(
            nn.AveragePool2D(net.input((1, 4, 4, 1), 0.1, 0, DType.I8), (3, 3), padding=(1, 1, 1, 1), element=i8(0.1)),
            "pool",
        ),
        "pool: windows at the border average fewer elements",
    ),
    "dequantize": (
        lambda net: net.emit(nn.Dequantize(net.input((1, 2), 0.1, 0)), "end"),
        "end: a dequantize inside the model",
    ),
    "softmax scale": (
        lambda net: net.emit(nn.Softmax(net.input((1, 4), 0.1, 0, DType.I8), element=i8(0.3)), "softmax"),
        "softmax: the result's scale is 0.3; it must be 1/n",
    ),
    "asymmetric weights": (
        lambda net: net.conv(net.input((1, 2, 2, 1), 0.1, 0, DType.I8), weights((1, 1, 1, 1), 0), i8(0.1, 3), i8(0.2)),
        "conv: its weights are not symmetric",
    ),
}


@pytest.mark.parametrize(("build", "message"), REFUSALS.values(), ids=REFUSALS)
def test_what_has_no_integer_form_is_refused_by_the_layers_name(build: object, message: str) -> None:
    net = Network()
    with pytest.raises(TargetError, match=message):
        LowerToInt(SYM)(net.finish(build(net)))


def test_all_refusals_are_reported_at_once() -> None:
    net = Network()
    x = net.input((1, 4), 0.1, 3)
    first = net.emit(nn.Add(x, x, element=u8(0.1, 3)), "one")
    second = net.emit(nn.Add(first, first, element=u8(0.1, 3)), "two")
    with pytest.raises(TargetError) as caught:
        LowerToInt(SYM)(net.finish(second))
    assert "2 problems" in str(caught.value)
