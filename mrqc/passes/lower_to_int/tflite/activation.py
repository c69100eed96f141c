"""RELU and its kin."""

from __future__ import annotations

from mrqc.ir.op import Op, Value
from mrqc.ops import int as int_ops
from mrqc.ops import nn
from mrqc.passes.lower_to_int.rules import Site, per_tensor, result_scale
from mrqc.passes.lower_to_int.tflite.multipliers import activation_limits, single
from mrqc.passes.lower_to_int.tflite.rescale import rescaled
from mrqc.passes.lower_to_int.tflite.rules import TFLITE_LOWERINGS


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
