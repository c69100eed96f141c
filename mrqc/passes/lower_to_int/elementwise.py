"""Additions, products and the greater of two values."""

from __future__ import annotations

from mrqc.errors import RefusalError
from mrqc.ir.op import Op, Value
from mrqc.ops import int as int_ops
from mrqc.ops import nn
from mrqc.ops.int import OperandScaling, Requantize
from mrqc.passes.lower_to_int.multipliers import common_grid, requantization
from mrqc.passes.lower_to_int.rules import LOWERINGS, Site, operand, per_tensor, result_scale


@LOWERINGS.register(nn.Add, nn.Sub)
def lower_add(op: Op, site: Site) -> Value:
    """Both operands on one fine grid, added or subtracted, and shifted back once; zero points are subtracted before."""
    assert isinstance(op, nn.Add | nn.Sub)
    output_scale = result_scale(op.element)
    lhs, rhs = operand(op.lhs, site), operand(op.rhs, site)
    is_centred = lhs.is_symmetric and rhs.is_symmetric
    lowered = int_ops.Add if is_centred else int_ops.RescaledAdd
    arithmetic = site.arithmetic(lowered.mnemonic)
    first, second, shift = common_grid(lhs.scale / output_scale, rhs.scale / output_scale, arithmetic)
    if isinstance(op, nn.Sub):
        second = -second
    assert op.element.quantization is not None
    limits = site.limits(op.element, op.clamp)
    requantize = Requantize((1,), (shift,), arithmetic.rounding, op.element.quantization.zero_point, *limits)
    if is_centred:
        return site.emit(int_ops.Add(op.lhs, op.rhs, first, second, requantize, op.element))
    # No shift of their own: the operands are not rounded.
    scalings = OperandScaling(lhs.zero_point, 0, first, 0), OperandScaling(rhs.zero_point, 0, second, 0)
    return site.emit(int_ops.RescaledAdd(op.lhs, op.rhs, *scalings, requantize, op.element))


@LOWERINGS.register(nn.Mul)
def lower_mul(op: Op, site: Site) -> Value:
    """A product of codes less their zero points, rescaled."""
    assert isinstance(op, nn.Mul)
    lhs, rhs = operand(op.lhs, site), operand(op.rhs, site)
    arithmetic = site.arithmetic(int_ops.Mul.mnemonic)
    ratio = lhs.scale * rhs.scale / result_scale(op.element)
    requantize = requantization([ratio], arithmetic, op.element, site.limits(op.element, op.clamp))
    return site.emit(int_ops.Mul(op.lhs, op.rhs, lhs.zero_point, rhs.zero_point, requantize, op.element))


@LOWERINGS.register(nn.Maximum, nn.Minimum)
def lower_extremum(op: Op, site: Site) -> Value:
    """The greater code is the greater value where both mean the same."""
    assert isinstance(op, nn.Maximum | nn.Minimum)
    per_tensor(op.lhs)
    if not op.lhs.type.element == op.rhs.type.element == op.element:
        raise RefusalError("operands and result must have the same scale", "run the pass 'requantize' first")
    extremum = int_ops.Maximum if isinstance(op, nn.Maximum) else int_ops.Minimum
    return site.emit(extremum(op.lhs, op.rhs))


@LOWERINGS.register(nn.SquaredDifference)
def refuse_squared_difference(op: Op, site: Site) -> Value:
    """Refuse: the difference would have to be rounded before it is squared."""
    del op
    raise RefusalError(f"the square of a difference has no integer form on {site.target.name}")


@LOWERINGS.register(nn.Prelu)
def lower_prelu(op: Op, site: Site) -> Value:
    """Refuse: the two slopes would need two multipliers."""
    del op
    raise RefusalError(f"a PReLU with a slope for each channel has no integer form on {site.target.name}")
