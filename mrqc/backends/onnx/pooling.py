"""Pools."""

from __future__ import annotations

from typing import Any

from mrqc.backends.onnx.site import ONNX_EXPORTS, Site
from mrqc.backends.onnx.writer import MICROSOFT, Layout
from mrqc.ir import Op
from mrqc.ops import nn

_LAYOUT = Layout.CHANNELS_FIRST


@ONNX_EXPORTS.register(nn.AveragePool2D)
def export_average_pool2d(op: Op, site: Site) -> None:
    """``AveragePool``, or ``GlobalAveragePool``: over floats, the runtime adds up in another order."""
    assert isinstance(op, nn.AveragePool2D)
    attributes: dict[str, Any] = {}
    if not op.is_global:
        attributes = {"kernel_shape": op.kernel, "strides": op.strides, "pads": op.padding}
        attributes["count_include_pad"] = int(op.count_include_pad)
    kind = "GlobalAveragePool" if op.is_global else "AveragePool"
    if site.uses_qoperator(op.input):
        inputs = [*site.codes_and_quantization(op.input, _LAYOUT), *site.quantization_of(site.result)]
        if op.is_global:
            attributes["channels_last"] = 0
        site.define_codes(site.node(f"QLinear{kind}", inputs, MICROSOFT, **attributes), _LAYOUT, op.clamp)
        return
    site.define(site.node(kind, [site.writer.real(op.input, _LAYOUT)], **attributes), _LAYOUT, op.clamp)


@ONNX_EXPORTS.register(nn.MaxPool2D)
def export_max_pool2d(op: Op, site: Site) -> None:
    """``MaxPool``: over codes where the scale stays, since the greatest code is the greatest value."""
    assert isinstance(op, nn.MaxPool2D)
    attributes: dict[str, Any] = {"kernel_shape": op.kernel, "strides": op.strides, "pads": op.padding}
    element = op.input.type.element
    if element.is_quantized and element == op.element and element.dtype.bytes == 1:
        site.define_codes(site.node("MaxPool", [site.writer.codes(op.input, _LAYOUT)], **attributes), _LAYOUT, op.clamp)
        return
    site.define(site.node("MaxPool", [site.writer.real(op.input, _LAYOUT)], **attributes), _LAYOUT, op.clamp)
