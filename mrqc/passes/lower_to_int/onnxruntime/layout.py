"""What moves elements, as on every target."""

from __future__ import annotations

import numpy as np

from mrqc.ir.op import Op, Value
from mrqc.ops import int as int_ops
from mrqc.ops import nn
from mrqc.passes.lower_to_int.layout import (
    lower_constant,
    lower_mirror_pad,
    lower_reshape,
    lower_slice,
    lower_take,
    lower_transpose,
)
from mrqc.passes.lower_to_int.onnxruntime.rules import ONNXRUNTIME_LOWERINGS
from mrqc.passes.lower_to_int.onnxruntime.single import quantized
from mrqc.passes.lower_to_int.rules import Site

ONNXRUNTIME_LOWERINGS.register(nn.Constant)(lower_constant)
ONNXRUNTIME_LOWERINGS.register(nn.Reshape)(lower_reshape)
ONNXRUNTIME_LOWERINGS.register(nn.Transpose)(lower_transpose)
ONNXRUNTIME_LOWERINGS.register(nn.Slice)(lower_slice)
ONNXRUNTIME_LOWERINGS.register(nn.Take)(lower_take)
ONNXRUNTIME_LOWERINGS.register(nn.MirrorPad)(lower_mirror_pad)


@ONNXRUNTIME_LOWERINGS.register(nn.Pad)
def lower_pad(op: Op, site: Site) -> Value:
    """The same codes, and around them the one that QuantizeLinear gives."""
    assert isinstance(op, nn.Pad)
    element = op.input.type.element
    (code,) = quantized(np.array([op.value], np.float32), element, site.limits(element)).tolist()
    return site.emit(int_ops.Pad(op.input, op.padding, code))
