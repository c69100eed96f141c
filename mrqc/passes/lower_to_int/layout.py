"""Constants, and what moves codes."""

from __future__ import annotations

from mrqc.errors import RefusalError
from mrqc.ir.op import Op, Value
from mrqc.ir.rules import RuleTable
from mrqc.ops import int as int_ops
from mrqc.ops import nn
from mrqc.passes.lower_to_int.rules import LOWERINGS, LoweringRule, Site, per_tensor

RUN_REQUANTIZE = "run the pass 'requantize' first"


@LOWERINGS.register(nn.Constant)
def lower_constant(op: Op, site: Site) -> Value:
    """The same codes."""
    assert isinstance(op, nn.Constant)
    return site.emit(int_ops.Constant(op.value, op.element))


@LOWERINGS.register(nn.Reshape)
def lower_reshape(op: Op, site: Site) -> Value:
    """The same codes under another shape."""
    assert isinstance(op, nn.Reshape)
    return site.emit(int_ops.Reshape(op.input, op.shape))


@LOWERINGS.register(nn.Transpose)
def lower_transpose(op: Op, site: Site) -> Value:
    """The same codes in another order."""
    assert isinstance(op, nn.Transpose)
    return site.emit(int_ops.Transpose(op.input, op.permutation))


@LOWERINGS.register(nn.Slice)
def lower_slice(op: Op, site: Site) -> Value:
    """The same codes, some of them."""
    assert isinstance(op, nn.Slice)
    return site.emit(int_ops.Slice(op.input, op.begin, op.size, op.strides))


@LOWERINGS.register(nn.Take)
def lower_take(op: Op, site: Site) -> Value:
    """The same codes, some of them."""
    assert isinstance(op, nn.Take)
    return site.emit(int_ops.Take(op.input, op.axis, op.indices))


@LOWERINGS.register(nn.Pad)
def lower_pad(op: Op, site: Site) -> Value:
    """The same codes, and the one nearest to the value around them."""
    assert isinstance(op, nn.Pad)
    per_tensor(op.input)
    code, _ = site.limits(op.input.type.element, (op.value, op.value))
    return site.emit(int_ops.Pad(op.input, op.padding, code))


@LOWERINGS.register(nn.MirrorPad)
def lower_mirror_pad(op: Op, site: Site) -> Value:
    """The same codes, repeated along one axis after the other."""
    assert isinstance(op, nn.MirrorPad)
    value = op.input
    for axis in range(value.type.rank):
        if any(op.padding[2 * axis : 2 * axis + 2]):
            value = site.emit(int_ops.Take(value, axis, op.indices(axis)))
    return value


@LOWERINGS.register(nn.Concat)
def lower_concat(op: Op, site: Site) -> Value:
    """The same codes, one behind the other."""
    assert isinstance(op, nn.Concat)
    if any(value.type.element != op.element for value in op.inputs):
        raise RefusalError("the inputs of a concat and its result have different scales", RUN_REQUANTIZE)
    return site.emit(int_ops.Concat(op.inputs, op.axis, op.element))


def register_moves(table: RuleTable[LoweringRule]) -> None:
    """Give a runtime's table the rules of what moves codes on every target alike."""
    for op in (nn.Constant, nn.Reshape, nn.Transpose, nn.Slice, nn.Take, nn.MirrorPad):
        table.register(op)(LOWERINGS[op])
