"""QLinearSoftmax, and the activations that the runtime looks up in tables of 256 entries."""

from __future__ import annotations

import numpy as np

from mrqc.errors import RefusalError
from mrqc.ir.op import Op, Value
from mrqc.numerics.float32 import Single
from mrqc.ops import int as int_ops
from mrqc.ops import nn
from mrqc.passes.lower_to_int.onnxruntime.rules import ONNXRUNTIME_LOWERINGS
from mrqc.passes.lower_to_int.onnxruntime.single import byte_quantization, emit_floats, quantization_of
from mrqc.passes.lower_to_int.rules import Site

_RESERVED = 5.0
"""In units of the exponent: how far the runtime keeps its sums of exponentials from the end of single precision."""


@ONNXRUNTIME_LOWERINGS.register(nn.Softmax)
def lower_softmax(op: Op, site: Site) -> Value:
    """A table of exponentials, as large as a row of them can be without leaving single precision."""
    assert isinstance(op, nn.Softmax)
    scale = byte_quantization(op.input).scale
    if op.input.type.shape[-1] == 1:
        raise RefusalError("a softmax over one element, whose exponential leaves single precision in the runtime")
    quantization = quantization_of(op.element)
    if op.element.dtype is not op.input.type.dtype:
        raise RefusalError(f"a softmax from {op.input.type.dtype} to {op.element.dtype}; the runtime keeps the type")
    table = emit_floats(_exponentials(np.float32(scale), op.input.type.shape[-1]), site)
    one = float(np.floor(np.float32(1.0) / np.float32(quantization.scale)))
    low, high = site.limits(op.element)
    return site.emit(int_ops.FloatSoftmax(op.input, table, one, quantization.zero_point, low, high, op.element))


def _exponentials(scale: np.float32, row: int) -> Single:
    room = np.float32(np.finfo(np.float32).max) / np.float32(row)
    # A logarithm in single precision: the last bit of it is in every entry.
    headroom = max(0.0, float(np.log(room)) - _RESERVED) / float(scale)
    with np.errstate(over="ignore", under="ignore"):
        return np.exp((np.arange(256) - 255 + headroom) * float(scale)).astype(np.float32)
