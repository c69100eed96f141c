"""LEAKY_RELU, ELU, LOGISTIC, TANH and HARD_SWISH: functions of one code, tabulated as the runtime computes them."""

from __future__ import annotations

import math

import numpy as np

from mrqc.errors import RefusalError
from mrqc.ir.dtype import DType
from mrqc.ir.op import Op, Value
from mrqc.ir.types import Element
from mrqc.numerics import Rounding
from mrqc.numerics.q31 import shift_rounding
from mrqc.ops import nn
from mrqc.passes.lower_to_int.rules import Site, per_tensor, result_scale
from mrqc.passes.lower_to_int.tflite.multipliers import (
    activation_limits,
    distances,
    quantized_multiplier,
    single,
    tflite_requantize,
)
from mrqc.passes.lower_to_int.tflite.rules import TFLITE_LOWERINGS
from mrqc.passes.lower_to_int.tflite.single_precision import Singles, check_same_dtype, in_single_precision, rounded
from mrqc.passes.lower_to_int.tflite.tables import Codes, every_code, lookup, requantized, scaled_by

_SIGMOID_STEPS = 24
"""Entries of the runtime's sigmoid table for each unit of its argument."""

_SIXTEEN_BITS = (1 << 15) - 1


@TFLITE_LOWERINGS.register(nn.LeakyRelu)
def lower_leaky_relu(op: Op, site: Site) -> Value:
    """One multiplier for each side of zero."""
    assert isinstance(op, nn.LeakyRelu)
    source = per_tensor(op.input)
    check_same_dtype(op.input, op.element)
    result = single(result_scale(op.element))
    limits = activation_limits(op.element)
    positive = tflite_requantize(float(single(source.scale) / result), site, op.element, limits, distances(op.input))
    centred = every_code(op.input.type.element) - source.zero_point
    steep = single(source.scale) * single(op.alpha) / result
    negative = scaled_by(centred, float(steep), site.target.requantize.rounding) + positive.zero_point
    codes = np.where(centred < 0, np.clip(negative, *limits), requantized(centred, positive))
    return lookup(op.input, codes, op.element, site)


@TFLITE_LOWERINGS.register(nn.Elu)
def lower_elu(op: Op, site: Site) -> Value:
    """In single precision."""
    assert isinstance(op, nn.Elu)
    if op.alpha != 1.0 or op.input.type.dtype is not DType.I8:
        raise RefusalError("the runtime has an ELU with alpha 1, of i8 codes")

    def elu(x: Singles) -> Singles:
        return np.where(x < 0, rounded(np.expm1, np.minimum(x, 0)), x)

    return in_single_precision(op.input, elu, op.element, site)


@TFLITE_LOWERINGS.register(nn.Sigmoid)
def lower_sigmoid(op: Op, site: Site) -> Value:
    """In single precision; 16-bit codes between the entries of a table."""
    assert isinstance(op, nn.Sigmoid)
    if op.input.type.dtype is DType.I16:
        return lookup(op.input, _sigmoid_of_wide(_checked_wide(op.input, op.element)), op.element, site)
    if result_scale(op.element) != 2.0**-8:
        raise RefusalError("the runtime's sigmoid of 8-bit codes has a result of scale 1/256")

    def sigmoid(x: Singles) -> Singles:
        return single(1) / (single(1) + rounded(np.exp, -x))

    return in_single_precision(op.input, sigmoid, op.element, site)


@TFLITE_LOWERINGS.register(nn.Tanh)
def lower_tanh(op: Op, site: Site) -> Value:
    """In single precision; 16-bit codes between the entries of the sigmoid's table."""
    assert isinstance(op, nn.Tanh)
    if op.input.type.dtype is DType.I16:
        return lookup(op.input, _tanh_of_wide(_checked_wide(op.input, op.element)), op.element, site)
    return in_single_precision(op.input, lambda x: rounded(np.tanh, x), op.element, site)


@TFLITE_LOWERINGS.register(nn.HardSigmoid)
def refuse(op: Op, site: Site) -> Value:
    """Refuse, naming the op and the target."""
    raise RefusalError(f"{op.mnemonic} cannot be run with the arithmetic of {site.target.name}")


@TFLITE_LOWERINGS.register(nn.HardSwish)
def lower_hard_swish(op: Op, site: Site) -> Value:
    """In 16-bit fixed point."""
    assert isinstance(op, nn.HardSwish)
    check_same_dtype(op.input, op.element)
    if op.input.type.dtype.bytes > 1:
        raise RefusalError("the runtime has a hard swish of 8-bit codes")
    source = per_tensor(op.input)
    high_resolution = single(1 / 128) * single(source.scale)
    output, output_exponent = _sixteen_bit_multiplier(high_resolution / single(result_scale(op.element)))
    if output_exponent > 0:
        raise RefusalError("the runtime's hard swish needs a result whose scale is at least 1/128 of its operand's")
    reluish, exponent = _sixteen_bit_multiplier(high_resolution / (single(3) / single(32768)))
    # The difference of an 8-bit code from its zero point has 9 bits, the last of which 16 bits less 7 lose.
    values = _wrapped((every_code(op.input.type.element) - source.zero_point) << 7)
    preshifted = _doubling_high(values, output)
    gate = values
    if exponent > 0:
        gate = _saturated(gate << (exponent - 1))
    gate = _doubling_high(gate, reluish)
    if exponent > 0:
        gate = _saturated(gate << 1)
    elif exponent < 0:
        gate = _shift_of_sixteen_bits(gate, -exponent)
    gate = (gate + (1 << 15)) >> 1
    products = gate * preshifted
    # Towards zero, unlike the products above.
    truncated = np.where(products < 0, -(-products >> 15), products >> 15)
    assert op.element.quantization is not None
    codes = _shift_of_sixteen_bits(truncated, -output_exponent) + op.element.quantization.zero_point
    return lookup(op.input, codes, op.element, site)


def _saturated(values: Codes) -> Codes:
    return np.clip(values, -_SIXTEEN_BITS - 1, _SIXTEEN_BITS)


def _wrapped(values: Codes) -> Codes:
    return values.astype(np.int16).astype(np.int64)


def _doubling_high(values: Codes, multiplier: int) -> Codes:
    """Return the high half of a doubled 16-bit product, rounded half up."""
    return (values * multiplier + (1 << 14)) >> 15


def _shift_of_sixteen_bits(values: Codes, bits: int) -> Codes:
    """Return ``values / 2**bits``, rounded half away from zero; from 16 bits on the runtime's mask overflows."""
    return shift_rounding(values, bits) if bits < 16 else np.where(values < 0, -1, 1)


def _sixteen_bit_multiplier(real: np.float32) -> tuple[int, int]:
    """Return a multiplier of 15 bits, and the power of two that comes with it."""
    factor = quantized_multiplier(float(real), Rounding.DOUBLE)
    return min((factor.multiplier + (1 << 15)) >> 16, _SIXTEEN_BITS), 31 - factor.shift


def _checked_wide(value: Value, element: Element) -> float:
    """Return the scale of 16-bit codes that the runtime has a sigmoid for.

    Raises:
        RefusalError: A zero point is not 0, or the result's scale not 2**-15.
    """
    check_same_dtype(value, element)
    source = per_tensor(value)
    assert element.quantization is not None
    if not source.is_symmetric or not element.quantization.is_symmetric or result_scale(element) != 2.0**-15:
        raise RefusalError("the runtime's 16-bit sigmoid and tanh have zero points of 0 and a result of scale 2^-15")
    return source.scale


def _sigmoid_table() -> Codes:
    """Return the sigmoid in Q0.16, entries moved by half of what interpolation is off in the middle behind them."""
    here, middle, there = (65536 / (1 + np.exp(-(np.arange(256) + ahead) / _SIGMOID_STEPS)) for ahead in (0, 0.5, 1))
    table = np.floor(here + (middle - (here + there) / 2) / 2 + 0.5).astype(np.int64)
    # The last entry is the limit.
    table[-1] = 65535
    return table


def _power_of_two(scale: float, allowed: tuple[int, ...]) -> int | None:
    """Return the left shift that brings codes to a scale of 2**-12, or None where a multiplier must."""
    octaves = math.log2(scale)
    shift = 12 + round(octaves)
    return shift if abs(octaves - round(octaves)) * math.log(2) < 1e-3 and shift in allowed else None


def _wide_multiplier(scale: float) -> tuple[int, int]:
    """Return multiplier and right shift that bring codes to thirds of 2**-12."""
    multiplier, shift = scale * 4096.0 * 3.0, 0
    while multiplier <= 32767.0 / 2.0 and shift <= 30:
        multiplier, shift = multiplier * 2.0, shift + 1
    return int(multiplier), shift


def _interpolated(magnitudes: Codes, bits: int, saturated: int) -> Codes:
    """Return the sigmoid's table at ``magnitudes``, whose lower ``bits`` lead on to the next entry."""
    table = _sigmoid_table()
    places = magnitudes >> bits
    inside = np.minimum(places, 254)
    rise = (magnitudes & ((1 << bits) - 1)) * (table[inside + 1] - table[inside])
    return np.where(places >= 255, saturated, (table[inside] << bits) + rise)


def _sigmoid_of_wide(scale: float) -> Codes:
    codes = np.arange(-(1 << 15), 1 << 15, dtype=np.int64)
    if _power_of_two(scale, (0,)) is not None:
        arguments = 3 * codes
    else:
        multiplier, shift = _wide_multiplier(scale)
        arguments = (codes * multiplier + ((1 << shift) >> 1)) >> shift
    result = _interpolated(np.abs(arguments), 9, _SIXTEEN_BITS << 10)
    result = np.where(arguments >= 0, result + (1 << 9), (1 << 25) - result + (1 << 9) - 1)
    return result >> 10


def _tanh_of_wide(scale: float) -> Codes:
    codes = np.arange(-(1 << 15), 1 << 15, dtype=np.int64)
    power = _power_of_two(scale, (0, 1))
    if power is not None:
        arguments = (codes << power) * 3
    else:
        multiplier, shift = _wide_multiplier(scale)
        arguments = (codes * multiplier + ((1 << shift) >> 1)) >> shift
    result = _interpolated(np.abs(arguments), 8, 0xFFFF << 8)
    result = np.where(arguments >= 0, result - (1 << 23) + (1 << 7), -result + (1 << 23) + (1 << 7) - 1)
    return result >> 8
