"""ABS, EXP, LOG, SQRT, RSQRT and GELU: functions of one code, tabulated as the runtime computes them."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from mrqc.ir.dtype import DType
from mrqc.ir.op import Op, Value
from mrqc.numerics import Rounding, divide_by_power_of_two
from mrqc.numerics.q31 import GREATEST, leading_bit, multiply_q31, shift_rounding, shift_saturating
from mrqc.ops import nn
from mrqc.passes.lower_to_int.rules import Site, per_tensor, result_scale
from mrqc.passes.lower_to_int.tflite.multipliers import quantized_multiplier, single, tflite_requantize
from mrqc.passes.lower_to_int.tflite.rules import TFLITE_LOWERINGS
from mrqc.passes.lower_to_int.tflite.single_precision import Singles, check_signed, interpolated, rounded
from mrqc.passes.lower_to_int.tflite.tables import Codes, every_code, lookup, requantized

_ROOT_OF_HALF = 1518500250
"""In Q0.31."""

_RSQRT_SHIFT = 20
"""Bits that the reciprocal of a root has below 1."""


@TFLITE_LOWERINGS.register(nn.Abs)
def lower_abs(op: Op, site: Site) -> Value:
    """The distance from zero, rescaled where the scales differ."""
    assert isinstance(op, nn.Abs)
    check_signed(op.input, op.element)
    quantization, source = op.element.quantization, per_tensor(op.input)
    assert quantization is not None
    distances = np.abs(every_code(op.input.type.element) - source.zero_point)
    if source.scale == quantization.scale:
        return lookup(op.input, distances + quantization.zero_point, op.element, site)
    ratio = float(single(source.scale) / single(quantization.scale))
    limits = (op.element.dtype.minimum, op.element.dtype.maximum)
    requantize = tflite_requantize(ratio, site, op.element, limits, (0, int(distances.max())))
    return lookup(op.input, requantized(distances, requantize), op.element, site)


@TFLITE_LOWERINGS.register(nn.Exp)
def lower_exp(op: Op, site: Site) -> Value:
    """In single precision; 16-bit codes between the entries of a table."""
    assert isinstance(op, nn.Exp)
    check_signed(op.input, op.element)
    return interpolated(op.input, lambda x: rounded(np.exp, x), op.element, site)


@TFLITE_LOWERINGS.register(nn.Log)
def lower_log(op: Op, site: Site) -> Value:
    """In single precision, the least code for zero and below; 16-bit codes between the entries of a table."""
    assert isinstance(op, nn.Log)
    check_signed(op.input, op.element)
    quantization = op.element.quantization
    assert quantization is not None
    least = single(op.element.dtype.minimum - quantization.zero_point) * single(quantization.scale)

    def log(x: Singles) -> Singles:
        return np.where(x <= 0, least, rounded(np.log, np.maximum(x, 0)))

    return interpolated(op.input, log, op.element, site)


@TFLITE_LOWERINGS.register(nn.Sqrt)
def lower_sqrt(op: Op, site: Site) -> Value:
    """In single precision, cut off instead of rounded; below zero the runtime gives up."""
    assert isinstance(op, nn.Sqrt)
    check_signed(op.input, op.element)
    source, quantization = per_tensor(op.input), op.element.quantization
    assert quantization is not None
    distances = np.maximum(every_code(op.input.type.element) - source.zero_point, 0)
    units = np.sqrt(single(source.scale) * distances.astype(np.float32)) / single(quantization.scale)
    codes = np.minimum(units.astype(np.float64), 2.0**24).astype(np.int64) + quantization.zero_point
    return lookup(op.input, codes, op.element, site)


@TFLITE_LOWERINGS.register(nn.Rsqrt)
def lower_rsqrt(op: Op, site: Site) -> Value:
    """In 32-bit fixed point; 16-bit codes between the entries of a table. Below zero the runtime gives up."""
    assert isinstance(op, nn.Rsqrt)
    check_signed(op.input, op.element)
    source, quantization = per_tensor(op.input), op.element.quantization
    assert quantization is not None
    if op.input.type.dtype is DType.I16:
        greatest = single(op.element.dtype.maximum) * single(result_scale(op.element))

        def rsqrt(x: Singles) -> Singles:
            with np.errstate(divide="ignore"):
                return np.where(x <= 0, greatest, single(1) / np.sqrt(np.maximum(x, 0)))

        return interpolated(op.input, rsqrt, op.element, site)
    rounding = site.target.requantize.rounding
    distances = every_code(op.input.type.element) - source.zero_point
    roots = _reciprocal_roots(np.maximum(distances, 1), rounding)
    scale = float(np.sqrt(single(source.scale)) * single(quantization.scale))
    factor = quantized_multiplier(1.0 / scale, rounding)
    codes = divide_by_power_of_two(roots * factor.multiplier, factor.shift + _RSQRT_SHIFT, rounding)
    codes = codes.astype(np.int64) + quantization.zero_point
    return lookup(op.input, np.where(distances <= 0, op.element.dtype.maximum, codes), op.element, site)


@TFLITE_LOWERINGS.register(nn.Gelu)
def lower_gelu(op: Op, site: Site) -> Value:
    """In single precision; 16-bit codes between the entries of a table."""
    assert isinstance(op, nn.Gelu)
    return interpolated(op.input, _approximate_gelu if op.approximate else _gelu, op.element, site)


def _approximate_gelu(x: Singles) -> Singles:
    cube = (single(0.044715) * x * x * x).astype(np.float32)
    inner = (single(math.sqrt(2 / math.pi)) * (x + cube)).astype(np.float32)
    return (single(0.5) * x * (single(1) + rounded(np.tanh, inner))).astype(np.float32)


def _gelu(x: Singles) -> Singles:
    def complementary_error(reals: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.fromiter(map(math.erfc, reals.tolist()), np.float64, reals.size)

    return single(0.5) * x * rounded(complementary_error, x * single(-math.sqrt(0.5)))


def _reciprocal_roots(values: Codes, rounding: Rounding) -> Codes:
    """Return ``2**20 / sqrt(values)`` for integers from 1 to 255: five Newton steps in Q3.28."""
    pairs = (30 - leading_bit(values)) // 2 - 1
    scaled = (values << (2 * pairs)) >> 1
    half = shift_rounding(scaled, 1)
    x = np.full_like(values, 1 << 28)
    for _ in range(5):
        cube = shift_saturating(multiply_q31(multiply_q31(x, x), x), 6)
        x = shift_saturating(multiply_q31((1 << 28) + (1 << 27), x) - multiply_q31(half, cube), 3)
    x = multiply_q31(x, _ROOT_OF_HALF)
    shifts = 11 - pairs
    roots = np.where(shifts < 0, x << np.maximum(-shifts, 0), x)
    # 1 itself is the greatest number below.
    roots = np.where(values == 1, GREATEST, roots)
    shifts = np.where(values == 1, 0, np.maximum(shifts, 0))
    exponents = 31 - _RSQRT_SHIFT + shifts
    return np.stack(
        [
            divide_by_power_of_two(root.reshape(1), int(exponent), rounding)[0]
            for root, exponent in zip(roots, exponents, strict=True)
        ]
    ).astype(np.int64)
