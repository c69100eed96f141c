"""Cases of operators on two tensors."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn
from single_ops import SingleOpCase, case, operator_cases
from tflite_files import NUMPY, Options, Scales, TfliteFile, options
from tflite_strategies import draw_scales, draw_shape, fused_activations

from mrqc.testing.arrays import code_arrays
from mrqc.testing.elementwise import stretched


@operator_cases("ADD", "u8", "i8", "i16")
def add(draw: DrawFn, dtype: str) -> SingleOpCase:
    return _sum(draw, dtype, "ADD", "AddOptions")


@operator_cases("SUB", "u8", "i8", "i16")
def sub(draw: DrawFn, dtype: str) -> SingleOpCase:
    return _sum(draw, dtype, "SUB", "SubOptions")


@operator_cases("MUL", "u8", "i8", "i16")
def mul(draw: DrawFn, dtype: str) -> SingleOpCase:
    chosen = options("MulOptions", fused_activation_function=draw(fused_activations))
    lhs, rhs = some_scales(draw, dtype, low=2.0**-9), some_scales(draw, dtype, low=2.0**-9)
    # Products of 16-bit codes that are shifted left would overflow the runtime's 32 bits.
    least = 1.001 * lhs.scales[0] * rhs.scales[0] if dtype == "i16" else 2.0**-9
    result = some_scales(draw, dtype, low=least, high=max(2.0**4, 16 * least))
    return binary(draw, "MUL", dtype, (lhs, rhs, result), chosen)


@operator_cases("SQUARED_DIFFERENCE", "i8")
def squared_difference(draw: DrawFn, dtype: str) -> SingleOpCase:
    lhs, rhs = some_scales(draw, dtype), some_scales(draw, dtype)
    # The runtime asks for a multiplier below 1: twice the larger scale, squared, over the result's with its extra bits.
    least = 1.001 * (2.0 * max(*lhs.scales, *rhs.scales)) ** 2 / (1 << 14)
    result = some_scales(draw, dtype, low=least, high=max(2.0**4, 2.0**14 * least))
    return binary(draw, "SQUARED_DIFFERENCE", dtype, (lhs, rhs, result), options("SquaredDifferenceOptions"))


@operator_cases("MAXIMUM", "u8", "i8", "i16")
def maximum(draw: DrawFn, dtype: str) -> SingleOpCase:
    scales = some_scales(draw, dtype)
    return binary(draw, "MAXIMUM", dtype, (scales,) * 3, options("MaximumMinimumOptions"))


@operator_cases("MINIMUM", "u8", "i8", "i16")
def minimum(draw: DrawFn, dtype: str) -> SingleOpCase:
    scales = some_scales(draw, dtype)
    return binary(draw, "MINIMUM", dtype, (scales,) * 3, options("MaximumMinimumOptions"))


@operator_cases("PRELU", "u8", "i8")
def prelu(draw: DrawFn, dtype: str) -> SingleOpCase:
    lhs, rhs, result = (some_scales(draw, dtype, low=2.0**-9) for _ in range(3))
    return binary(draw, "PRELU", dtype, (lhs, rhs, result), stretch_lhs=False)


def _sum(draw: DrawFn, dtype: str, builtin: str, table: str) -> SingleOpCase:
    is_power = dtype == "i16" and draw(st.booleans())
    chosen = options(table, fused_activation_function=draw(fused_activations), pot_scale_int16=is_power)
    if is_power:
        # The only powers of two that are imported.
        scales = Scales.one(2.0 ** draw(st.integers(-15, 3)))
        # Of tensors that are stretched, the runtime gives up on the sum.
        return binary(draw, builtin, dtype, (scales,) * 3, chosen, are_stretched=builtin == "SUB")
    lhs, rhs = some_scales(draw, dtype), some_scales(draw, dtype)
    # The runtime asks for a multiplier below 1: twice the larger scale over the result's with its extra bits.
    least = 2.0 * max(*lhs.scales, *rhs.scales) / (1 << (14 if dtype == "i16" else 19))
    result = some_scales(draw, dtype, low=max(2.0**-12, least))
    return binary(draw, builtin, dtype, (lhs, rhs, result), chosen)


def some_scales(draw: DrawFn, dtype: str, low: float = 2.0**-12, high: float = 2.0**4) -> Scales:
    """Draw scales over a wide range, as they are no restriction here."""
    scales = draw_scales(draw, dtype, low, high)
    assert scales is not None
    return scales


def binary(
    draw: DrawFn,
    builtin: str,
    dtype: str,
    scales: tuple[Scales, Scales, Scales],
    chosen: Options | None = None,
    *,
    stretch_lhs: bool = True,
    are_stretched: bool = True,
) -> SingleOpCase:
    """Draw a file with an operator on two tensors, either of which may be stretched over the other or constant."""
    shape = draw_shape(draw)
    lhs_shape, rhs_shape = shape, draw(stretched(shape)) if are_stretched else shape
    if stretch_lhs and draw(st.booleans()):
        lhs_shape, rhs_shape = rhs_shape, lhs_shape
    file = TfliteFile()
    lhs = file.input(dtype, lhs_shape, scales[0])
    if draw(st.booleans()):
        rhs = file.input(dtype, rhs_shape, scales[1])
    else:
        rhs = file.constant(some_codes(draw, dtype, rhs_shape), scales[1])
    file.operator(builtin, [lhs, rhs], [file.output(dtype, shape, scales[2])], chosen)
    return case(draw, file)


def some_codes(draw: DrawFn, dtype: str, shape: tuple[int, ...]) -> Any:
    """Draw the content of a constant."""
    bits = 8 * NUMPY[dtype](0).itemsize
    least = 0 if dtype == "u8" else -(1 << (bits - 1))
    return draw(code_arrays(shape, least, least + (1 << bits) - 1)).astype(NUMPY[dtype])
