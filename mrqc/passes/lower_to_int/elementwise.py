"""Residual additions."""

from __future__ import annotations

from mrqc.ir.op import Op, Value
from mrqc.ops import int as int_ops
from mrqc.ops import nn
from mrqc.ops.int import Requantize
from mrqc.passes.lower_to_int.multipliers import common_grid
from mrqc.passes.lower_to_int.rules import LOWERINGS, Site, result_scale, symmetric_scale


@LOWERINGS.register(nn.Add)
def lower_add(op: Op, site: Site) -> Value:
    """Both operands on one fine grid, added, and shifted back once."""
    assert isinstance(op, nn.Add)
    output_scale = result_scale(op.element)
    arithmetic = site.arithmetic(int_ops.Add.mnemonic)
    ratios = symmetric_scale(op.lhs) / output_scale, symmetric_scale(op.rhs) / output_scale
    first, second, shift = common_grid(*ratios, arithmetic)
    assert op.element.quantization is not None
    limits = site.limits(op.element, op.clamp)
    requantize = Requantize((1,), (shift,), arithmetic.rounding, op.element.quantization.zero_point, *limits)
    return site.emit(int_ops.Add(op.lhs, op.rhs, first, second, requantize, op.element))
