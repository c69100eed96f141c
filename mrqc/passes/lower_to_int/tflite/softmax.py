"""SOFTMAX and LOG_SOFTMAX."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrqc.errors import RefusalError
from mrqc.ir.data import Data
from mrqc.ir.dtype import DType
from mrqc.ir.op import Op, Value
from mrqc.ir.types import Element
from mrqc.numerics import FixedPoint, Rounding
from mrqc.numerics.q31 import GREATEST, exponential_q31, multiply_q31
from mrqc.ops import int as int_ops
from mrqc.ops import nn
from mrqc.ops.int.activation import INTERPOLATED_SOFTMAX_DEPTH, LOG_SOFTMAX_DEPTH, RECIPROCAL_SOFTMAX_DEPTH
from mrqc.passes.lower_to_int.interpolated_softmax import ARGUMENT_UNIT, interpolated_softmax
from mrqc.passes.lower_to_int.rules import Site, per_tensor, result_scale
from mrqc.passes.lower_to_int.tflite.multipliers import quantized_multiplier, single
from mrqc.passes.lower_to_int.tflite.rules import TFLITE_LOWERINGS
from mrqc.passes.lower_to_int.tflite.tables import Codes

_ARGUMENT_INTEGER_BITS = 5
"""Integer bits of the exponential's argument, Q5.26."""

_BITS = 31
"""Bits of a multiplier behind its sign."""

_SCALE_TOLERANCE = 1e-3
"""How far the scale of a softmax may be off, relatively, before the runtime refuses it."""


@TFLITE_LOWERINGS.register(nn.Softmax)
def lower_softmax(op: Op, site: Site) -> Value:
    """A table of fixed-point exponentials and a reciprocal for each row; two tables for 16-bit codes."""
    assert isinstance(op, nn.Softmax)
    source = per_tensor(op.input)
    if op.input.type.dtype is DType.I16:
        return _wide_softmax(op, site)
    _check_depth(op.input, RECIPROCAL_SOFTMAX_DEPTH)
    codes = 1 << 8 * op.element.dtype.bytes
    _check_result(op.element, 1 / codes, op.element.dtype.minimum)
    entries = exponentials(op.beta * source.scale, site.target.requantize.rounding)
    table = _table(entries, DType.I32, site)
    return site.emit(int_ops.ReciprocalSoftmax(op.input, table, op.element))


def _wide_softmax(op: nn.Softmax, site: Site) -> Value:
    source = per_tensor(op.input)
    if op.element.dtype is not DType.I16 or not source.is_symmetric:
        raise RefusalError("a softmax of i16 codes has no zero point and results in i16 codes")
    _check_depth(op.input, INTERPOLATED_SOFTMAX_DEPTH)
    _check_result(op.element, 2.0**-15, 0)
    rounding = site.target.requantize.rounding
    # In single precision up to the division.
    ratio = float(single(source.scale) * single(op.beta)) / ARGUMENT_UNIT
    factor = quantized_multiplier(ratio, rounding)
    if 31 - factor.shift > 14:
        raise RefusalError(f"the scale {source.scale:.6g} of a softmax overflows the runtime's 32 bits")
    return interpolated_softmax(op, factor, rounding, site)


@TFLITE_LOWERINGS.register(nn.LogSoftmax)
def lower_log_softmax(op: Op, site: Site) -> Value:
    """Tables of scaled differences and their exponentials, and a fixed-point logarithm for each row."""
    assert isinstance(op, nn.LogSoftmax)
    dtype = op.input.type.dtype
    if dtype.bytes > 1 or op.element.dtype is not dtype:
        raise RefusalError("the runtime has a log-softmax of 8-bit codes, with a result of the same type")
    _check_depth(op.input, LOG_SOFTMAX_DEPTH)
    _check_result(op.element, 1 / 16, dtype.maximum, tolerance=0.0)
    rounding = site.target.requantize.rounding
    scale = per_tensor(op.input).scale
    argument = _scaled_argument(scale, rounding)
    differences, in_range = scaled_differences(scale, rounding)
    tables = (differences, np.where(in_range, exponential_q31(differences), 0))
    left_shift = 31 - argument.shift
    reverse = quantized_multiplier((1 << (31 - left_shift)) / argument.multiplier, rounding)
    return site.emit(
        int_ops.LogSoftmax(
            op.input,
            _table(tables[0], DType.I32, site),
            _table(tables[1], DType.I32, site),
            _radius(left_shift),
            reverse.multiplier,
            reverse.shift,
            rounding,
            op.element,
        )
    )


def _check_depth(value: Value, depth: int) -> None:
    if value.type.shape[-1] > depth:
        raise RefusalError(f"a softmax over {value.type.shape[-1]} elements overflows the runtime's 32-bit sum")


def _check_result(element: Element, scale: float, zero_point: int, tolerance: float = _SCALE_TOLERANCE) -> None:
    quantization = element.quantization
    off = abs(result_scale(element) / scale - 1.0) > tolerance
    if off or quantization is None or quantization.zero_point != zero_point:
        raise RefusalError(f"a softmax must result in codes of scale {scale:.6g} with zero point {zero_point}")


def _table(entries: NDArray[Any], dtype: DType, site: Site) -> Value:
    return site.emit(int_ops.Constant(Data.of(entries.astype(np.int64), dtype), Element(dtype)))


def exponentials(scale: float, rounding: Rounding) -> Codes:
    """Return ``exp(-scale * d)`` in Q0.31 for d from 0 to 255, 0 where the argument leaves Q5.26.

    Raises:
        RefusalError: The scale is so small that the runtime cannot represent it.
    """
    differences, in_range = scaled_differences(scale, rounding)
    return np.where(in_range, exponential_q31(differences), 0)


def scaled_differences(scale: float, rounding: Rounding) -> tuple[Codes, NDArray[np.bool_]]:
    """Return ``-scale * d`` in Q5.26 for d from 0 to 255, and which of them are in its range.

    Raises:
        RefusalError: The scale is so small that the runtime cannot represent it.
    """
    factor = _scaled_argument(scale, rounding)
    left_shift = 31 - factor.shift
    distances = np.arange(256, dtype=np.int64)
    in_range = distances <= _radius(left_shift)
    return multiply_q31(-np.where(in_range, distances, 0) << left_shift, factor.multiplier), in_range


def _scaled_argument(scale: float, rounding: Rounding) -> FixedPoint:
    """Return the scale in units of the last bit of Q5.26.

    Raises:
        RefusalError: The scale is so small that the runtime cannot represent it.
    """
    # One bit less of range keeps a build with single rounding from overflowing its left shift.
    greatest = GREATEST if rounding is Rounding.DOUBLE else (1 << 30) - 1
    real = min(math.ldexp(scale, 31 - _ARGUMENT_INTEGER_BITS), float(greatest))
    if real <= 1.0:
        raise RefusalError(f"the scale {scale:.6g} of a softmax is below the runtime's resolution, 2^-26")
    # At a shift of 31 the radius is 0: nothing but the greatest element of a row, at a distance of 0, is scaled.
    return quantized_multiplier(real, rounding, greatest_left_shift=_BITS)


def _radius(left_shift: int) -> int:
    """Return the greatest distance whose scaled value Q5.26 holds."""
    return math.floor(math.ldexp((1 << _ARGUMENT_INTEGER_BITS) - 1, 31 - _ARGUMENT_INTEGER_BITS - left_shift))
