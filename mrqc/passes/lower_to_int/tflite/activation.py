"""RELU and its kin, SOFTMAX."""

from __future__ import annotations

import math

import numpy as np

from mrqc.ir.data import Data
from mrqc.ir.dtype import DType
from mrqc.ir.op import Op, Value
from mrqc.ir.types import Element
from mrqc.numerics import Rounding
from mrqc.numerics.q31 import GREATEST, exponential_q31, multiply_q31
from mrqc.ops import int as int_ops
from mrqc.ops import nn
from mrqc.ops.int.activation import RECIPROCAL_SOFTMAX_DEPTH
from mrqc.passes.lower_to_int.multipliers import RefusalError
from mrqc.passes.lower_to_int.rules import Site, per_tensor, result_scale
from mrqc.passes.lower_to_int.tflite.multipliers import activation_limits, quantized_multiplier, single
from mrqc.passes.lower_to_int.tflite.rescale import rescaled
from mrqc.passes.lower_to_int.tflite.rules import TFLITE_LOWERINGS
from mrqc.passes.lower_to_int.tflite.tables import Codes

_ARGUMENT_INTEGER_BITS = 5
"""Integer bits of the exponential's argument, Q5.26."""

_SCALE_TOLERANCE = 1e-3
"""How far the scale of a softmax may be off, relatively, before the runtime refuses it."""


@TFLITE_LOWERINGS.register(nn.Clip)
def lower_clip(op: Op, site: Site) -> Value:
    """A clamp of codes; behind a change of scale, whose ratio is rounded to single precision, a table."""
    assert isinstance(op, nn.Clip)
    source = per_tensor(op.input)
    ratio = float(single(source.scale) / single(result_scale(op.element)))
    low, high = activation_limits(op.element, op.clamp)
    if op.element != op.input.type.element:
        return rescaled(op.input, ratio, op.element, (low, high), site)
    if (low, high) == activation_limits(op.element):
        return op.input
    return site.emit(int_ops.Clamp(op.input, low, high))


@TFLITE_LOWERINGS.register(nn.Softmax)
def lower_softmax(op: Op, site: Site) -> Value:
    """A table of fixed-point exponentials and a reciprocal for each row."""
    assert isinstance(op, nn.Softmax)
    scale = per_tensor(op.input).scale
    if op.input.type.dtype not in (DType.I8, DType.U8):
        raise RefusalError(f"a softmax of {op.input.type.dtype} codes")
    if op.input.type.shape[-1] > RECIPROCAL_SOFTMAX_DEPTH:
        raise RefusalError(f"a softmax over {op.input.type.shape[-1]} elements overflows the runtime's 32-bit sum")
    codes = 1 << 8 * op.element.dtype.bytes
    zero_point = op.element.quantization.zero_point if op.element.quantization is not None else None
    if abs(result_scale(op.element) * codes - 1.0) > _SCALE_TOLERANCE or zero_point != op.element.dtype.minimum:
        raise RefusalError(f"a softmax must result in codes of scale 1/{codes}, zero the least of them")
    entries = exponentials(scale, site.target.requantize.rounding)
    table = site.emit(int_ops.Constant(Data.of(entries, DType.I32), Element(DType.I32)))
    return site.emit(int_ops.ReciprocalSoftmax(op.input, table, op.element))


def exponentials(scale: float, rounding: Rounding) -> Codes:
    """Return ``exp(-scale * d)`` in Q0.31 for d from 0 to 255, 0 where the argument leaves Q5.26.

    Raises:
        RefusalError: The scale is so small that the runtime cannot represent it.
    """
    differences, in_range = scaled_differences(scale, rounding)
    return np.where(in_range, exponential_q31(differences), 0)


def scaled_differences(scale: float, rounding: Rounding) -> tuple[Codes, np.ndarray]:
    """Return ``-scale * d`` in Q5.26 for d from 0 to 255, and which of them are in its range.

    Raises:
        RefusalError: The scale is so small that the runtime cannot represent it.
    """
    fractional_bits = 31 - _ARGUMENT_INTEGER_BITS
    # One bit less of range keeps a build with single rounding from overflowing its left shift.
    greatest = GREATEST if rounding is Rounding.DOUBLE else (1 << 30) - 1
    real = min(math.ldexp(scale, fractional_bits), float(greatest))
    if real <= 1.0:
        raise RefusalError(f"the scale {scale:.6g} of a softmax is below the runtime's resolution, 2^-26")
    factor = quantized_multiplier(real, rounding)
    left_shift = 31 - factor.shift
    radius = math.floor(math.ldexp((1 << _ARGUMENT_INTEGER_BITS) - 1, fractional_bits - left_shift))
    distances = np.arange(256, dtype=np.int64)
    in_range = distances <= radius
    return multiply_q31(-np.where(in_range, distances, 0) << left_shift, factor.multiplier), in_range
