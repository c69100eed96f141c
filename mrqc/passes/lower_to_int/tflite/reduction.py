"""MEAN and SUM."""

from __future__ import annotations

from mrqc.errors import RefusalError
from mrqc.ir.op import Op, Value
from mrqc.numerics import FixedPoint
from mrqc.ops import int as int_ops
from mrqc.ops import nn
from mrqc.ops.int import Requantize
from mrqc.passes.lower_to_int.rules import Site, per_tensor, result_scale
from mrqc.passes.lower_to_int.tflite.multipliers import activation_limits, quantized_multiplier
from mrqc.passes.lower_to_int.tflite.rules import TFLITE_LOWERINGS

_SUM_LIMIT = 1 << 31


@TFLITE_LOWERINGS.register(nn.Mean, nn.Sum)
def lower_reduction(op: Op, site: Site) -> Value:
    """One sum in 32 bits and one requantization, which for a mean divides too.

    The runtime's reference kernel of SUM takes all codes for unsigned bytes; codes of other types are added up by the
    same arithmetic here.
    """
    assert isinstance(op, nn.Mean | nn.Sum)
    source = per_tensor(op.input)
    dtype = op.input.type.dtype
    if op.element.dtype is not dtype:
        raise RefusalError(f"codes of {dtype} cannot be reduced to {op.element.dtype}")
    reach = max(source.zero_point - dtype.minimum, dtype.maximum - source.zero_point)
    if op.count * reach >= _SUM_LIMIT:
        raise RefusalError(f"the sum of {op.count} codes of {dtype} can overflow 32 bits")
    rounding = site.target.requantize.rounding
    factor = quantized_multiplier(source.scale / result_scale(op.element), rounding)
    if isinstance(op, nn.Mean):
        factor = _divided(factor, op.count)
    assert op.element.quantization is not None
    requantize = Requantize(
        (factor.multiplier,),
        (factor.shift,),
        rounding,
        op.element.quantization.zero_point,
        *activation_limits(op.element),
    )
    return site.emit(int_ops.Sum(op.input, op.axes, op.keep_dims, source.zero_point, requantize, op.element))


def _divided(factor: FixedPoint, count: int) -> FixedPoint:
    """Return a fixed-point number over a count; the quotient is cut off, as many bits as the count has are kept."""
    exponent = 31 - factor.shift
    bits = min(count.bit_length() - 1, 32, 31 + exponent)
    return FixedPoint((factor.multiplier << bits) // count, factor.shift + bits)
