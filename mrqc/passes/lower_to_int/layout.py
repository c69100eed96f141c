"""Reshapes, transposes and constants."""

from __future__ import annotations

from mrqc.ir.op import Op, Value
from mrqc.ops import int as int_ops
from mrqc.ops import nn
from mrqc.passes.lower_to_int.rules import LOWERINGS, Site


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
