"""ReduceMean over images, and ArgMax."""

from __future__ import annotations

import numpy as np

from mrqc.errors import RefusalError
from mrqc.ir.op import Op, Value
from mrqc.ops import int as int_ops
from mrqc.ops import nn
from mrqc.passes.lower_to_int.onnxruntime.rules import ONNXRUNTIME_LOWERINGS
from mrqc.passes.lower_to_int.onnxruntime.single import dequantized_codes, emit_floats, quantization_of
from mrqc.passes.lower_to_int.reduction import lower_arg_max
from mrqc.passes.lower_to_int.rules import Site

ONNXRUNTIME_LOWERINGS.register(nn.ArgMax)(lower_arg_max)

_HEIGHT_AND_WIDTH = (1, 2)


@ONNXRUNTIME_LOWERINGS.register(nn.Mean)
def lower_mean(op: Op, site: Site) -> Value:
    """There is no kernel on codes: the runtime dequantizes, adds up in floats in the order of NCHW, and quantizes."""
    assert isinstance(op, nn.Mean)
    if op.input.type.rank != 4 or op.axes != _HEIGHT_AND_WIDTH:
        raise RefusalError(
            f"the order in which the runtime adds up floats along axes {list(op.axes)} is known for height and width",
            "use a mean over height and width, such as GlobalAveragePool",
        )
    table = emit_floats(dequantized_codes(op.input), site)
    quantization = quantization_of(op.element)
    scale, limits = float(np.float32(quantization.scale)), site.limits(op.element)
    mean = site.emit(int_ops.FloatMean2D(op.input, table, scale, quantization.zero_point, *limits, op.element))
    return mean if op.keep_dims else site.emit(int_ops.Reshape(mean, op.infer()[0].shape))
