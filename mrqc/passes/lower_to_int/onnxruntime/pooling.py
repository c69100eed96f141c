"""QLinearAveragePool, QLinearGlobalAveragePool and MaxPool."""

from __future__ import annotations

import numpy as np

from mrqc.ir.data import Data
from mrqc.ir.dtype import DType
from mrqc.ir.op import Op, Value
from mrqc.ir.types import Element
from mrqc.numerics.float32 import Single
from mrqc.ops import int as int_ops
from mrqc.ops import nn
from mrqc.passes.lower_to_int.onnxruntime.contraction import KEEP_SUMS, SUMS
from mrqc.passes.lower_to_int.onnxruntime.rules import ONNXRUNTIME_LOWERINGS
from mrqc.passes.lower_to_int.onnxruntime.single import (
    byte_quantization,
    dequantized_codes,
    emit_floats,
    quantization_of,
)
from mrqc.passes.lower_to_int.onnxruntime.tables import looked_up
from mrqc.passes.lower_to_int.rules import Site


@ONNXRUNTIME_LOWERINGS.register(nn.AveragePool2D)
def lower_average_pool2d(op: Op, site: Site) -> Value:
    """Real values added up in single precision; over a whole image, global or not, the codes."""
    assert isinstance(op, nn.AveragePool2D)
    byte_quantization(op.input)
    quantization = quantization_of(op.element)
    if op.covers_image:
        return _global_average_pool(op, site)
    table = emit_floats(dequantized_codes(op.input), site)
    minimum, maximum = site.limits(op.element, op.clamp)
    pool = int_ops.FloatAveragePool2D(
        op.input,
        table,
        op.kernel,
        op.strides,
        op.padding,
        op.count_include_pad,
        float(np.float32(quantization.scale)),
        quantization.zero_point,
        minimum,
        maximum,
        op.element,
    )
    return site.emit(pool)


def _global_average_pool(op: nn.AveragePool2D, site: Site) -> Value:
    """Codes added up as integers, then a factor: a convolution of each channel with ones."""
    input_, result = byte_quantization(op.input), quantization_of(op.element)
    channels = op.input.type.shape[3]
    ones = np.ones((channels, *op.kernel, 1), np.int8)
    sums = site.emit(
        int_ops.Conv2D(
            op.input,
            site.emit(int_ops.Constant(Data(ones), Element(DType.I8))),
            groups=channels,
            input_zero_point=input_.zero_point,
            requantize=KEEP_SUMS,
            element=SUMS,
        )
    )
    count = np.float32(op.kernel[0] * op.kernel[1])
    factor = np.float32(input_.scale) / (np.float32(result.scale) * count)
    limits = site.limits(op.element, op.clamp)
    return site.emit(int_ops.FloatRescale(sums, (float(factor),), result.zero_point, *limits, op.element))


@ONNXRUNTIME_LOWERINGS.register(nn.MaxPool2D)
def lower_max_pool2d(op: Op, site: Site) -> Value:
    """The greatest code; another scale of the result is a step of its own."""
    assert isinstance(op, nn.MaxPool2D)
    pooled = site.emit(int_ops.MaxPool2D(op.input, op.kernel, op.strides, op.padding))
    low, high = (np.float32(bound) for bound in op.clamp)

    def clip(reals: Single) -> Single:
        return np.clip(reals, low, high)

    return looked_up(pooled, op.element, site, clip, site.limits(op.element))
