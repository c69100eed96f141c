"""What moves elements, as on every target."""

from __future__ import annotations

import numpy as np

from mrqc.ir.op import Op, Value
from mrqc.ops import int as int_ops
from mrqc.ops import nn
from mrqc.passes.lower_to_int.layout import register_moves
from mrqc.passes.lower_to_int.onnxruntime.rules import ONNXRUNTIME_LOWERINGS
from mrqc.passes.lower_to_int.onnxruntime.single import quantized
from mrqc.passes.lower_to_int.rules import Site

register_moves(ONNXRUNTIME_LOWERINGS)


@ONNXRUNTIME_LOWERINGS.register(nn.Pad)
def lower_pad(op: Op, site: Site) -> Value:
    """The same codes, and around them the one that QuantizeLinear gives."""
    assert isinstance(op, nn.Pad)
    element = op.input.type.element
    (code,) = quantized(np.array([op.value], np.float32), element, site.limits(element)).tolist()
    return site.emit(int_ops.Pad(op.input, op.padding, code))
