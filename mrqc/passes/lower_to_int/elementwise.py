"""Additions, products and the greater of two values."""

from __future__ import annotations

from mrqc.errors import RefusalError
from mrqc.ir.op import Op, Value
from mrqc.ops import int as int_ops
from mrqc.ops import nn
from mrqc.ops.int import Requantize
from mrqc.passes.lower_to_int.multipliers import common_grid, requantization
from mrqc.passes.lower_to_int.rules import LOWERINGS, Site, per_tensor, result_scale, symmetric_scale


@LOWERINGS.register(nn.Add, nn.Sub)
def lower_add(op: Op, site: Site) -> Value:
    """Both operands on one fine grid, added or subtracted, and shifted back once."""
    assert isinstance(op, nn.Add | nn.Sub)
    output_scale = result_scale(op.element)
    arithmetic = site.arithmetic(int_ops.Add.mnemonic)
    ratios = symmetric_scale(op.lhs) / output_scale, symmetric_scale(op.rhs) / output_scale
    first, second, shift = common_grid(*ratios, arithmetic)
    if isinstance(op, nn.Sub):
        second = -second
    assert op.element.quantization is not None
    limits = site.limits(op.element, op.clamp)
    requantize = Requantize((1,), (shift,), arithmetic.rounding, op.element.quantization.zero_point, *limits)
    return site.emit(int_ops.Add(op.lhs, op.rhs, first, second, requantize, op.element))


@LOWERINGS.register(nn.Mul)
def lower_mul(op: Op, site: Site) -> Value:
    """A product of codes, rescaled."""
    assert isinstance(op, nn.Mul)
    ratio = symmetric_scale(op.lhs) * symmetric_scale(op.rhs) / result_scale(op.element)
    arithmetic = site.arithmetic(int_ops.Mul.mnemonic)
    requantize = requantization([ratio], arithmetic, op.element, site.limits(op.element, op.clamp))
    return site.emit(int_ops.Mul(op.lhs, op.rhs, 0, 0, requantize, op.element))


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
