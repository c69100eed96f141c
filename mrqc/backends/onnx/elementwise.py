"""Element by element."""

from __future__ import annotations

from collections.abc import Mapping

from mrqc.backends.onnx.site import ONNX_EXPORTS, Site
from mrqc.backends.onnx.writer import MICROSOFT
from mrqc.ir import Op
from mrqc.ops import nn

_BINARY: Mapping[type[Op], str] = {
    nn.Add: "Add",
    nn.Sub: "Sub",
    nn.Mul: "Mul",
    nn.Maximum: "Max",
    nn.Minimum: "Min",
}


@ONNX_EXPORTS.register(*_BINARY)
def export_binary(op: Op, site: Site) -> None:
    """The operator of the same name, over reals; ``QLinearAdd`` and ``QLinearMul``."""
    assert isinstance(op, nn.Add | nn.Sub | nn.Mul | nn.Maximum | nn.Minimum)
    layout = site.common_layout(op.lhs, op.rhs)
    kind = _BINARY[type(op)]
    if isinstance(op, nn.Add | nn.Mul) and site.uses_qoperator(op.lhs, op.rhs):
        inputs = [
            *site.codes_and_quantization(op.lhs, layout),
            *site.codes_and_quantization(op.rhs, layout),
            *site.quantization_of(site.result),
        ]
        site.define_codes(site.node(f"QLinear{kind}", inputs, MICROSOFT), layout, op.clamp)
        return
    reals = [site.writer.real(operand, layout) for operand in (op.lhs, op.rhs)]
    clamp = nn.UNBOUNDED if isinstance(op, nn.Maximum | nn.Minimum) else op.clamp
    site.define(site.node(kind, reals), layout, clamp)


@ONNX_EXPORTS.register(nn.SquaredDifference)
def export_squared_difference(op: Op, site: Site) -> None:
    """``Sub`` and ``Mul``, over reals."""
    assert isinstance(op, nn.SquaredDifference)
    layout = site.common_layout(op.lhs, op.rhs)
    difference = site.node("Sub", [site.writer.real(operand, layout) for operand in (op.lhs, op.rhs)])
    site.define(site.node("Mul", [difference, difference]), layout)


@ONNX_EXPORTS.register(nn.Prelu)
def export_prelu(op: Op, site: Site) -> None:
    """``PRelu``, over reals."""
    assert isinstance(op, nn.Prelu)
    layout = site.common_layout(op.input, op.slope)
    reals = [site.writer.real(operand, layout) for operand in (op.input, op.slope)]
    site.define(site.node("PRelu", reals), layout)
