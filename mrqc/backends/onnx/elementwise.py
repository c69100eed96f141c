"""Element by element."""

from __future__ import annotations

from collections.abc import Mapping

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


_BINARY: Mapping[type[Op], str] = {nn.Sub: "Sub", nn.Mul: "Mul", nn.Maximum: "Max", nn.Minimum: "Min"}


@ONNX_EXPORTS.register(nn.Sub, nn.Mul, nn.Maximum, nn.Minimum)
def export_binary(op: Op, site: Site) -> None:
    """The operator of the same name, over reals."""
    assert isinstance(op, nn.Sub | nn.Mul | nn.Maximum | nn.Minimum)
    layout = site.common_layout(op.lhs, op.rhs)
    reals = [site.writer.real(operand, layout) for operand in (op.lhs, op.rhs)]
    clamp = op.clamp if isinstance(op, nn.Sub | nn.Mul) else nn.UNBOUNDED
    site.define(site.node(_BINARY[type(op)], reals), layout, clamp)


@ONNX_EXPORTS.register(nn.Prelu)
def export_prelu(op: Op, site: Site) -> None:
    """``PRelu``, over reals."""
    assert isinstance(op, nn.Prelu)
    layout = site.common_layout(op.input, op.slope)
    reals = [site.writer.real(operand, layout) for operand in (op.input, op.slope)]
    site.define(site.node("PRelu", reals), layout)
