"""Clips and softmax."""

from __future__ import annotations

from mrqc.backends.onnx.site import ONNX_EXPORTS, Site
from mrqc.backends.onnx.writer import MICROSOFT, Layout
from mrqc.ir import Op
from mrqc.ops import nn


@ONNX_EXPORTS.register(nn.Clip)
def export_clip(op: Op, site: Site) -> None:
    """``Clip`` over codes where the scale stays, else over reals."""
    assert isinstance(op, nn.Clip)
    layout = site.common_layout(op.input)
    if op.element.is_quantized and op.element == op.input.type.element:
        site.define_codes(site.writer.codes(op.input, layout), layout, op.clamp)
        return
    site.define(site.writer.real(op.input, layout), layout, op.clamp)


@ONNX_EXPORTS.register(nn.Softmax)
def export_softmax(op: Op, site: Site) -> None:
    """``Softmax`` or ``QLinearSoftmax`` over the last axis."""
    assert isinstance(op, nn.Softmax)
    layout = Layout.LOGICAL
    if site.uses_qoperator(op.input):
        inputs = [*site.codes_and_quantization(op.input, layout), *site.quantization_of(site.result)]
        # The attribute says which of the operator's two meanings is wanted; from 13 on it is one axis.
        site.define_codes(site.node("QLinearSoftmax", inputs, MICROSOFT, axis=-1, opset=13), layout)
        return
    site.define(site.node("Softmax", [site.writer.real(op.input, layout)], axis=-1), layout)
