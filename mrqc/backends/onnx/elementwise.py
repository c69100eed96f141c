"""Element by element."""

from __future__ import annotations

from mrqc.backends.onnx.site import ONNX_EXPORTS, Site
from mrqc.backends.onnx.writer import MICROSOFT
from mrqc.ir import Op
from mrqc.ops import nn


@ONNX_EXPORTS.register(nn.Add)
def export_add(op: Op, site: Site) -> None:
    """``Add`` or ``QLinearAdd``."""
    assert isinstance(op, nn.Add)
    layout = site.common_layout(op.lhs, op.rhs)
    if site.uses_qoperator(op.lhs, op.rhs):
        inputs = [
            *site.codes_and_quantization(op.lhs, layout),
            *site.codes_and_quantization(op.rhs, layout),
            *site.quantization_of(site.result),
        ]
        site.define_codes(site.node("QLinearAdd", inputs, MICROSOFT), layout, op.clamp)
        return
    reals = [site.writer.real(operand, layout) for operand in (op.lhs, op.rhs)]
    site.define(site.node("Add", reals), layout, op.clamp)
