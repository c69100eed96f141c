"""Real ratios of scales as the integers of TensorFlow Lite's reference kernels."""

from __future__ import annotations

import math

import numpy as np

from mrqc.errors import RefusalError
from mrqc.ir.dtype import DType
from mrqc.ir.op import Value
from mrqc.ir.types import Element
from mrqc.numerics import FixedPoint, Rounding, round_half_away
from mrqc.ops import nn
from mrqc.ops.int import Requantize
from mrqc.passes.lower_to_int.rules import Site, per_tensor

_BITS = 31
_GREATEST_LEFT_SHIFT = 30


def quantized_multiplier(
    real: float, rounding: Rounding, greatest_left_shift: int = _GREATEST_LEFT_SHIFT
) -> FixedPoint:
    """Return a real number as TFLite's QuantizeMultiplier does, with the shift counted to the right from bit 31.

    Below 2**-32 it is 0. A build with single rounding has no left shift beyond 30 and saturates there.

    Args:
        real: A finite number of either sign.
        rounding: Of the target, which tells the builds apart.
        greatest_left_shift: Beyond which the number is out of range; 31 where the operand then is 0.

    Raises:
        RefusalError: The number is so large that the runtime's 32 bits overflow for any operand but 0.
    """
    if real == 0.0:
        return FixedPoint(0, _BITS)
    fraction, exponent = math.frexp(abs(real))
    multiplier = math.floor(math.ldexp(fraction, _BITS) + 0.5)
    if multiplier == 1 << _BITS:
        multiplier, exponent = multiplier >> 1, exponent + 1
    if exponent < -_BITS:
        return FixedPoint(0, _BITS)
    if exponent > greatest_left_shift:
        if rounding is Rounding.DOUBLE:
            raise RefusalError(f"the ratio of scales {real:.6g} overflows the runtime's 32 bits")
        multiplier, exponent = (1 << _BITS) - 1, _GREATEST_LEFT_SHIFT
    return FixedPoint(multiplier if real > 0 else -multiplier, _BITS - exponent)


def tflite_requantize(
    real: float, site: Site, element: Element, limits: tuple[int, int], reach: tuple[int, int] = (0, 0)
) -> Requantize:
    """Return MultiplyByQuantizedMultiplier by ``real``, the zero point of ``element`` and a clamp of codes.

    Args:
        real: The factor.
        site: Where the statement comes from.
        element: Of the result.
        limits: The least and greatest code.
        reach: The least and greatest integer that is multiplied.

    Raises:
        RefusalError: As :func:`quantized_multiplier`, or ``reach``, shifted to the left, overflows 32 bits, where
            the runtime's result is anything.
    """
    rounding = site.target.requantize.rounding
    factor = quantized_multiplier(real, rounding)
    left_shift = max(_BITS - factor.shift, 0)
    if reach[0] << left_shift < DType.I32.minimum or reach[1] << left_shift > DType.I32.maximum:
        raise RefusalError(f"the ratio of scales {real:.6g} overflows the runtime's 32 bits")
    assert element.quantization is not None
    return Requantize((factor.multiplier,), (factor.shift,), rounding, element.quantization.zero_point, *limits)


def distances(value: Value) -> tuple[int, int]:
    """Return how far from zero the codes of a per-tensor activation can be, to either side."""
    zero_point, dtype = per_tensor(value).zero_point, value.type.dtype
    return dtype.minimum - zero_point, dtype.maximum - zero_point


def products(lhs: Value, rhs: Value) -> tuple[int, int]:
    """Return the least and greatest product of two activations' distances from zero."""
    found = [first * second for first in distances(lhs) for second in distances(rhs)]
    return min(found), max(found)


def activation_limits(element: Element, clamp: tuple[float, float] = nn.UNBOUNDED) -> tuple[int, int]:
    """Return the codes that a fused activation confines a result to.

    Its ends are divided by the scale in single precision and rounded half away from zero, as
    CalculateActivationRangeQuantized does.
    """
    quantization = element.quantization
    assert quantization is not None
    minimum, maximum = element.dtype.minimum, element.dtype.maximum
    low, high = (_code(end, quantization.scale, quantization.zero_point) for end in clamp)
    return int(min(max(low, minimum), maximum)), int(min(max(high, minimum), maximum))


def single(real: float) -> np.float32:
    """Return a number in the single precision that the runtime stores its scales in."""
    return np.float32(real)


def _code(end: float, scale: float, zero_point: int) -> float:
    if math.isinf(end):
        return end
    return round_half_away(float(single(end) / single(scale))) + zero_point
