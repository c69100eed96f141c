"""AVERAGE_POOL_2D and MAX_POOL_2D."""

from __future__ import annotations

from mrqc.errors import RefusalError
from mrqc.ir.op import Op, Value
from mrqc.ops import int as int_ops
from mrqc.ops import nn
from mrqc.passes.lower_to_int.rules import Site, per_tensor, result_scale
from mrqc.passes.lower_to_int.tflite.multipliers import activation_limits
from mrqc.passes.lower_to_int.tflite.rules import TFLITE_LOWERINGS

_SCALE_TOLERANCE = 1e-6
"""The greatest difference between the scales of operand and result that the runtime accepts for an average."""

_OTHER_SCALE = "its operand and its result have different scales, which the runtime does not run"
_OTHER_SCALE_HINT = "put a quantize behind the pool"


@TFLITE_LOWERINGS.register(nn.AveragePool2D)
def lower_average_pool2d(op: Op, site: Site) -> Value:
    """The mean of the codes inside the image, rounded half away from zero."""
    assert isinstance(op, nn.AveragePool2D)
    if op.count_include_pad and op.window.is_padded:
        raise RefusalError("the runtime averages what lies inside the image, not the padding")
    source, target = per_tensor(op.input), op.element.quantization
    difference = abs(source.scale - result_scale(op.element))
    if target is None or difference > _SCALE_TOLERANCE or source.zero_point != target.zero_point:
        raise RefusalError(_OTHER_SCALE, _OTHER_SCALE_HINT)
    limits = activation_limits(op.element, op.clamp)
    strides = op.window.needed_strides(*op.input.type.shape[1:3])
    return site.emit(int_ops.MeanPool2D(op.input, op.kernel, strides, op.padding, *limits, op.element))


@TFLITE_LOWERINGS.register(nn.MaxPool2D)
def lower_max_pool2d(op: Op, site: Site) -> Value:
    """The greatest code, clamped."""
    assert isinstance(op, nn.MaxPool2D)
    per_tensor(op.input)
    if op.element != op.input.type.element:
        raise RefusalError(_OTHER_SCALE, _OTHER_SCALE_HINT)
    pooled = site.emit(int_ops.MaxPool2D(op.input, op.kernel, op.strides, op.padding))
    limits = activation_limits(op.element, op.clamp)
    if limits == activation_limits(op.element):
        return pooled
    return site.emit(int_ops.Clamp(pooled, *limits))
