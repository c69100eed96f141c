"""Clips and softmax."""

from __future__ import annotations

import math

from mrqc.backends.tflite.file import Options
from mrqc.backends.tflite.writer import TFLITE_EXPORTS, RefusalError, Site
from mrqc.ir import DType, Element, Op
from mrqc.ops import nn

_RELUS = {(0.0, math.inf): "RELU", (0.0, 6.0): "RELU6", (-1.0, 1.0): "RELU_N1_TO_1", (0.0, 1.0): "RELU_0_TO_1"}

_PROBABILITIES: dict[DType, Element] = {
    DType.U8: Element.per_tensor(DType.U8, 1 / 256, 0),
    DType.I8: Element.per_tensor(DType.I8, 1 / 256, -128),
    DType.I16: Element.per_tensor(DType.I16, 1 / 32768, 0),
}
"""The one quantization of a softmax's result that the kernels have, by type."""


@TFLITE_EXPORTS.register(nn.Clip)
def export_clip(op: Op, site: Site) -> None:
    """One of the ``RELU`` operators; any other interval by ``MAXIMUM`` and ``MINIMUM``."""
    assert isinstance(op, nn.Clip)
    builtin = _RELUS.get(op.clamp)
    if builtin is not None:
        site.finish(builtin, [site.operand(op.input)])
        return
    site.finish_limits(site.operand(op.input), op.clamp, op.input.type.element)


@TFLITE_EXPORTS.register(nn.Softmax)
def export_softmax(op: Op, site: Site) -> None:
    """``SOFTMAX``, and a ``QUANTIZE`` where the result is not at the scale that it always has."""
    assert isinstance(op, nn.Softmax)
    produced = op.element
    if produced.is_quantized:
        dtype = op.input.type.dtype
        if dtype not in _PROBABILITIES:
            raise RefusalError(f"a softmax of {dtype}: TFLite has one for u8, i8 and i16")
        produced = _PROBABILITIES[dtype]
    options = Options("SoftmaxOptions", (("Beta", 1.0),))
    if produced == op.element:
        site.finish("SOFTMAX", [site.operand(op.input)], options)
        return
    probabilities = site.step("SOFTMAX", [site.operand(op.input)], site.result.type.with_element(produced), options)
    site.finish_limits(probabilities, nn.UNBOUNDED, produced)
