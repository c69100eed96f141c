"""Cases of functions of one tensor; those of one code run on every code."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn
from single_ops import SingleOpCase, case, operator_cases
from tflite_files import NUMPY, Options, Scales, TfliteFile, options
from tflite_strategies import draw_scales

_WIDE_ROWS = 4096
"""Codes of 16 bits that one case runs on."""


@operator_cases("RELU", "u8", "i8", "i16")
def relu(draw: DrawFn, dtype: str) -> SingleOpCase:
    return _rescaling(draw, "RELU", dtype)


@operator_cases("RELU6", "u8", "i8", "i16")
def relu6(draw: DrawFn, dtype: str) -> SingleOpCase:
    return _rescaling(draw, "RELU6", dtype)


@operator_cases("RELU_N1_TO_1", "u8", "i8")
def relu_n1_to_1(draw: DrawFn, dtype: str) -> SingleOpCase:
    return _rescaling(draw, "RELU_N1_TO_1", dtype)


@operator_cases("RELU_0_TO_1", "u8", "i8")
def relu_0_to_1(draw: DrawFn, dtype: str) -> SingleOpCase:
    return _rescaling(draw, "RELU_0_TO_1", dtype)


def _rescaling(draw: DrawFn, builtin: str, dtype: str, chosen: Options | None = None) -> SingleOpCase:
    """Draw an operator whose result has the operand's scale or any other."""
    operand = wide_scales(draw, dtype)
    result = draw(st.sampled_from((operand, wide_scales(draw, dtype))))
    return of_every_code(draw, builtin, dtype, operand, result, chosen)


def wide_scales(draw: DrawFn, dtype: str, low: float = 2.0**-12, high: float = 2.0**4) -> Scales:
    """Draw scales over a wide range."""
    scales = draw_scales(draw, dtype, low, high)
    assert scales is not None
    return scales


def of_every_code(
    draw: DrawFn, builtin: str, dtype: str, operand: Scales, result: Scales, chosen: Options | None = None
) -> SingleOpCase:
    """Return a file with an operator on one tensor that holds every 8-bit code, or many of 16 bits."""
    limits = np.iinfo(NUMPY[dtype])
    codes = np.arange(limits.min, limits.max + 1)
    if codes.size > _WIDE_ROWS:
        start = draw(st.integers(0, codes.size // _WIDE_ROWS - 1))
        codes = codes[start :: codes.size // _WIDE_ROWS]
        codes[[0, -1]] = limits.min, limits.max
    file = TfliteFile()
    index = file.input(dtype, (1, codes.size), operand, "x")
    file.operator(builtin, [index], [file.output(dtype, (1, codes.size), result)], chosen)
    return case(draw, file, ({"x": codes.reshape(1, -1).astype(NUMPY[dtype])},))


@operator_cases("LEAKY_RELU", "u8", "i8", "i16")
def leaky_relu(draw: DrawFn, dtype: str) -> SingleOpCase:
    alpha = float(np.float32(draw(st.one_of(st.sampled_from((0.01, 0.1, 0.3, 1.0, 2.5, 0.0, -0.5)), st.floats(-2, 2)))))
    return _rescaling(draw, "LEAKY_RELU", dtype, options("LeakyReluOptions", alpha=alpha))


@operator_cases("ELU", "i8")
def elu(draw: DrawFn, dtype: str) -> SingleOpCase:
    return _rescaling(draw, "ELU", dtype)


@operator_cases("ABS", "i8", "i16")
def absolute(draw: DrawFn, dtype: str) -> SingleOpCase:
    return _rescaling(draw, "ABS", dtype, options("AbsOptions"))


@operator_cases("EXP", "i8", "i16")
def exp(draw: DrawFn, dtype: str) -> SingleOpCase:
    return _rescaling(draw, "EXP", dtype, options("ExpOptions"))


@operator_cases("LOG", "i8", "i16")
def log(draw: DrawFn, dtype: str) -> SingleOpCase:
    return _rescaling(draw, "LOG", dtype)


@operator_cases("SQRT", "i8", "i16")
def sqrt(draw: DrawFn, dtype: str) -> SingleOpCase:
    return _from_zero_up(draw, "SQRT", dtype)


@operator_cases("RSQRT", "i8", "i16")
def rsqrt(draw: DrawFn, dtype: str) -> SingleOpCase:
    return _from_zero_up(draw, "RSQRT", dtype)


@operator_cases("GELU", "u8", "i8", "i16")
def gelu(draw: DrawFn, dtype: str) -> SingleOpCase:
    return _rescaling(draw, "GELU", dtype, options("GeluOptions", approximate=draw(st.booleans())))


def _from_zero_up(draw: DrawFn, builtin: str, dtype: str) -> SingleOpCase:
    """Draw an operator on every code from zero up, below which the runtime gives up."""
    operand, result = wide_scales(draw, dtype), wide_scales(draw, dtype)
    codes = np.arange(operand.zero_points[0], np.iinfo(NUMPY[dtype]).max + 1)
    codes = codes[:: max(1, codes.size // _WIDE_ROWS)]
    file = TfliteFile()
    index = file.input(dtype, (1, codes.size), operand, "x")
    file.operator(builtin, [index], [file.output(dtype, (1, codes.size), result)], version=2)
    return case(draw, file, ({"x": codes.reshape(1, -1).astype(NUMPY[dtype])},))


@operator_cases("HARD_SWISH", "u8", "i8")
def hard_swish(draw: DrawFn, dtype: str) -> SingleOpCase:
    operand = wide_scales(draw, dtype)
    # A multiplier beyond 1 is refused by the runtime.
    result = wide_scales(draw, dtype, max(2.0**-12, operand.scales[0] / 100))
    return of_every_code(draw, "HARD_SWISH", dtype, operand, result, options("HardSwishOptions"))


@operator_cases("LOGISTIC", "u8", "i8", "i16")
def logistic(draw: DrawFn, dtype: str) -> SingleOpCase:
    fixed = {"u8": (2.0**-8, 0), "i8": (2.0**-8, -128), "i16": (2.0**-15, 0)}[dtype]
    return of_every_code(draw, "LOGISTIC", dtype, _sigmoid_scales(draw, dtype), Scales.one(*fixed))


@operator_cases("TANH", "u8", "i8", "i16")
def tanh(draw: DrawFn, dtype: str) -> SingleOpCase:
    result = Scales.one(2.0**-15) if dtype == "i16" else wide_scales(draw, dtype)
    return of_every_code(draw, "TANH", dtype, _sigmoid_scales(draw, dtype), result)


def _sigmoid_scales(draw: DrawFn, dtype: str) -> Scales:
    """Draw scales of an operand; those of 16-bit codes are at times the powers of two that have their own way."""
    if dtype != "i16":
        return wide_scales(draw, dtype)
    powers = st.integers(-14, -8).map(lambda power: Scales.one(2.0**power))
    return draw(st.one_of(powers, st.builds(Scales.one, st.floats(2.0**-16, 2.0**-3))))


@operator_cases("LOG_SOFTMAX", "u8", "i8")
def log_softmax(draw: DrawFn, dtype: str) -> SingleOpCase:
    shape = (draw(st.integers(1, 3)), draw(st.sampled_from((1, 2, 3, 10, 100, 1000))))
    file = TfliteFile()
    operand = file.input(dtype, shape, wide_scales(draw, dtype, high=2.0**6))
    codes = file.output(dtype, shape, Scales.one(1 / 16, 127 if dtype == "i8" else 255))
    file.operator("LOG_SOFTMAX", [operand], [codes], options("LogSoftmaxOptions"))
    return case(draw, file)


@operator_cases("SOFTMAX", "i16")
def wide_softmax(draw: DrawFn, dtype: str) -> SingleOpCase:
    shape = (draw(st.integers(1, 3)), draw(st.sampled_from((1, 2, 3, 10, 100, 1000))))
    file = TfliteFile()
    operand = file.input(dtype, shape, wide_scales(draw, dtype, 2.0**-16, 2.0**-3))
    codes = file.output(dtype, shape, Scales.one(2.0**-15))
    beta = draw(st.sampled_from((1.0, 0.5, 1.5)))
    file.operator("SOFTMAX", [operand], [codes], options("SoftmaxOptions", beta=beta))
    return case(draw, file)


@operator_cases("SOFTMAX", "u8", "i8", "i8-i16", "u8-i16")
def softmax(draw: DrawFn, dtype: str) -> SingleOpCase:
    source, _, result = dtype.partition("-")
    result = result or source
    bits = 16 if result == "i16" else 8
    least = 0 if result == "u8" else -(1 << (bits - 1))
    # The runtime gives up where the exponentials of a row add up to 512.
    depth = draw(st.sampled_from((1, 2, 3, 10, 100, 500)))
    file = TfliteFile()
    # Where a step is more than the exponential's range of 32, only the greatest elements of a row count.
    operand = file.input(source, (draw(st.integers(1, 3)), depth), wide_scales(draw, source, high=2.0**6))
    codes = file.output(result, file.graph.tensors[operand].shape, Scales.one(2.0**-bits, least))
    file.operator("SOFTMAX", [operand], [codes], options("SoftmaxOptions", beta=draw(st.sampled_from((1.0, 0.5, 1.3)))))
    return case(draw, file)
