"""ADD and its kin."""

from __future__ import annotations

from mrqc.errors import RefusalError
from mrqc.ir.dtype import DType
from mrqc.ir.op import Op, Value
from mrqc.ir.types import Element
from mrqc.ops import int as int_ops
from mrqc.ops import nn
from mrqc.ops.int import OperandScaling, Requantize
from mrqc.passes.lower_to_int.rules import Site, per_tensor, result_scale
from mrqc.passes.lower_to_int.tflite.multipliers import (
    activation_limits,
    distances,
    products,
    quantized_multiplier,
    single,
    tflite_requantize,
)
from mrqc.passes.lower_to_int.tflite.rules import TFLITE_LOWERINGS

_LEFT_SHIFTS = {DType.I8: 20, DType.U8: 20, DType.I16: 15}
"""Bits that both operands of an addition gain before they are rescaled."""

_SQUARED_LEFT_SHIFT = 7
"""Those that they gain before their difference is squared."""


@TFLITE_LOWERINGS.register(nn.Add, nn.Sub)
def lower_add(op: Op, site: Site) -> Value:
    """Both operands in units of twice the larger scale, with 20 more bits (15 for i16), added and rescaled.

    The multiplier of what is subtracted is negative; its ties are rounded as any negative product's.
    """
    assert isinstance(op, nn.Add | nn.Sub)
    sign = -1 if isinstance(op, nn.Sub) else 1
    left_shift = _LEFT_SHIFTS[common_dtype(op.lhs, op.rhs, op.element)]
    first, second = per_tensor(op.lhs), per_tensor(op.rhs)
    unit = 2.0 * max(first.scale, second.scale)
    rounding = site.target.requantize.rounding
    scalings: list[OperandScaling] = []
    for quantization, factor_sign in ((first, 1), (second, sign)):
        factor = quantized_multiplier(quantization.scale / unit, rounding)
        multiplier = factor_sign * factor.multiplier
        scalings.append(OperandScaling(quantization.zero_point, left_shift, multiplier, factor.shift))
    ratio = unit / ((1 << left_shift) * result_scale(op.element))
    requantize = tflite_requantize(ratio, site, op.element, activation_limits(op.element, op.clamp))
    if requantize.shift[0] < 31:
        raise RefusalError("the result's scale is so much smaller than its operands' that the runtime gives up")
    return site.emit(int_ops.RescaledAdd(op.lhs, op.rhs, scalings[0], scalings[1], requantize, op.element))


@TFLITE_LOWERINGS.register(nn.Mul)
def lower_mul(op: Op, site: Site) -> Value:
    """A product of distances from zero; the ratio of the scales is rounded to single precision at each step."""
    assert isinstance(op, nn.Mul)
    common_dtype(op.lhs, op.rhs, op.element)
    first, second = per_tensor(op.lhs), per_tensor(op.rhs)
    ratio = float(single(first.scale) * single(second.scale) / single(result_scale(op.element)))
    limits = activation_limits(op.element, op.clamp)
    requantize = tflite_requantize(ratio, site, op.element, limits, products(op.lhs, op.rhs))
    return site.emit(int_ops.Mul(op.lhs, op.rhs, first.zero_point, second.zero_point, requantize, op.element))


@TFLITE_LOWERINGS.register(nn.SquaredDifference)
def lower_squared_difference(op: Op, site: Site) -> Value:
    """The difference in units of twice the larger scale, with 7 more bits, which 16 bits hold; squared and rescaled."""
    assert isinstance(op, nn.SquaredDifference)
    if common_dtype(op.lhs, op.rhs, op.element) is not DType.I8:
        raise RefusalError("the square of a difference of codes other than i8; the runtime has it for these")
    first, second = per_tensor(op.lhs), per_tensor(op.rhs)
    unit = 2.0 * max(first.scale, second.scale)
    rounding = site.target.requantize.rounding
    scalings: list[OperandScaling] = []
    for quantization, sign in ((first, 1), (second, -1)):
        factor = quantized_multiplier(quantization.scale / unit, rounding)
        scalings.append(
            OperandScaling(quantization.zero_point, _SQUARED_LEFT_SHIFT, sign * factor.multiplier, factor.shift)
        )
    wide = Element.per_tensor(DType.I16, unit / (1 << _SQUARED_LEFT_SHIFT))
    unchanged = Requantize((1 << 30,), (30,), rounding, 0, DType.I16.minimum, DType.I16.maximum)
    difference = site.emit(int_ops.RescaledAdd(op.lhs, op.rhs, scalings[0], scalings[1], unchanged, wide))
    ratio = unit * unit / ((1 << 2 * _SQUARED_LEFT_SHIFT) * result_scale(op.element))
    requantize = tflite_requantize(ratio, site, op.element, activation_limits(op.element))
    if requantize.shift[0] < 31:
        raise RefusalError("the result's scale is so much smaller than its operands' that the runtime gives up")
    return site.emit(int_ops.Mul(difference, difference, 0, 0, requantize, op.element))


@TFLITE_LOWERINGS.register(nn.Maximum, nn.Minimum)
def lower_extremum(op: Op, site: Site) -> Value:
    """The greater or lesser code; the runtime takes for granted that all three scales are the same."""
    assert isinstance(op, nn.Maximum | nn.Minimum)
    per_tensor(op.lhs)
    if not op.lhs.type.element == op.rhs.type.element == op.element:
        raise RefusalError("operands and result have different scales; the runtime compares codes")
    extremum = int_ops.Maximum if isinstance(op, nn.Maximum) else int_ops.Minimum
    return site.emit(extremum(op.lhs, op.rhs))


@TFLITE_LOWERINGS.register(nn.Prelu)
def lower_prelu(op: Op, site: Site) -> Value:
    """Two multipliers, one for each side of zero."""
    assert isinstance(op, nn.Prelu)
    dtype = common_dtype(op.input, op.slope, op.element)
    if dtype is DType.I16:
        raise RefusalError("a PReLU of i16 codes; the runtime has it for u8 and i8")
    source, slope = per_tensor(op.input), per_tensor(op.slope)
    limits = activation_limits(op.element)
    result = single(result_scale(op.element))
    positive = tflite_requantize(float(single(source.scale) / result), site, op.element, limits, distances(op.input))
    product = single(source.scale) * single(slope.scale) / result
    requantize = tflite_requantize(float(product), site, op.element, limits, products(op.input, op.slope))
    return site.emit(
        int_ops.Prelu(
            op.input,
            op.slope,
            source.zero_point,
            slope.zero_point,
            positive.multiplier[0],
            positive.shift[0],
            requantize,
            op.element,
        )
    )


def common_dtype(lhs: Value, rhs: Value, element: Element) -> DType:
    """Return how operands and result are stored, all alike.

    Raises:
        RefusalError: They are not, or not in 8 or 16 bits.
    """
    dtypes = (lhs.type.dtype, rhs.type.dtype, element.dtype)
    if len(set(dtypes)) > 1 or dtypes[0] not in _LEFT_SHIFTS:
        raise RefusalError(f"operands and result are {', '.join(dtypes)}; the runtime has u8, i8 or i16 throughout")
    return dtypes[0]
