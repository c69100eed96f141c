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


@operator_cases("SOFTMAX", "u8", "i8", "i8-i16", "u8-i16")
def softmax(draw: DrawFn, dtype: str) -> SingleOpCase:
    source, _, result = dtype.partition("-")
    result = result or source
    bits = 16 if result == "i16" else 8
    least = 0 if result == "u8" else -(1 << (bits - 1))
    # The runtime gives up where the exponentials of a row add up to 512.
    depth = draw(st.sampled_from((1, 2, 3, 10, 100, 500)))
    file = TfliteFile()
    operand = file.input(source, (draw(st.integers(1, 3)), depth), wide_scales(draw, source))
    codes = file.output(result, file.graph.tensors[operand].shape, Scales.one(2.0**-bits, least))
    file.operator("SOFTMAX", [operand], [codes], options("SoftmaxOptions", beta=1.0))
    return case(draw, file)
