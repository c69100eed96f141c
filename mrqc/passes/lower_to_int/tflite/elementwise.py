"""ADD and its kin."""

from __future__ import annotations

from mrqc.ir.dtype import DType
from mrqc.ir.op import Op, Value
from mrqc.ir.types import Element
from mrqc.ops import int as int_ops
from mrqc.ops import nn
from mrqc.ops.int import OperandScaling
from mrqc.passes.lower_to_int.multipliers import RefusalError
from mrqc.passes.lower_to_int.rules import Site, per_tensor, result_scale
from mrqc.passes.lower_to_int.tflite.multipliers import activation_limits, quantized_multiplier, tflite_requantize
from mrqc.passes.lower_to_int.tflite.rules import TFLITE_LOWERINGS

_LEFT_SHIFTS = {DType.I8: 20, DType.U8: 20, DType.I16: 15}
"""Bits that both operands of an addition gain before they are rescaled."""


@TFLITE_LOWERINGS.register(nn.Add)
def lower_add(op: Op, site: Site) -> Value:
    """Both operands in units of twice the larger scale, with 20 more bits (15 for i16), added and rescaled."""
    assert isinstance(op, nn.Add)
    return rescaled_sum(op, site, sign=1)


def rescaled_sum(op: nn.Add, site: Site, sign: int) -> Value:
    """Return ``lhs + sign * rhs`` as the runtime computes it, the sign in the multiplier of the second operand.

    Raises:
        RefusalError: Operands and result are not stored alike.
    """
    left_shift = _left_shift(op.lhs.type.element, op.rhs.type.element, op.element)
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
    return site.emit(int_ops.RescaledAdd(op.lhs, op.rhs, scalings[0], scalings[1], requantize, op.element))


def _left_shift(*elements: Element) -> int:
    shifts = {_LEFT_SHIFTS.get(element.dtype) for element in elements}
    shift = shifts.pop()
    if shift is None or shifts:
        dtypes = ", ".join(element.dtype for element in elements)
        raise RefusalError(f"operands and result are {dtypes}; the runtime adds 8-bit codes or i16 codes")
    return shift
