"""Functions of one tensor."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from mrqc.backends.onnx.site import BYTES, ONNX_EXPORTS, Site
from mrqc.backends.onnx.writer import MICROSOFT, Layout
from mrqc.ir import Op
from mrqc.ops import nn


@ONNX_EXPORTS.register(nn.Clip)
def export_clip(op: Op, site: Site) -> None:
    """``Clip`` over codes where the scale stays, else over reals.

    Between two scales it is always over reals: ONNX Runtime makes one step of two QuantizeLinear of which the second
    follows the first at once, and rounds otherwise then.
    """
    assert isinstance(op, nn.Clip)
    layout = site.common_layout(op.input)
    if op.element.dtype in BYTES and op.element == op.input.type.element:
        site.define_codes(site.writer.codes(op.input, layout), layout, op.clamp)
        return
    site.define_clipped(site.writer.real(op.input, layout), layout, op.clamp)


@ONNX_EXPORTS.register(nn.Softmax)
def export_softmax(op: Op, site: Site) -> None:
    """``Softmax`` or ``QLinearSoftmax`` over the last axis; beta is part of the scale, or multiplies floats."""
    assert isinstance(op, nn.Softmax)
    layout, quantization = Layout.LOGICAL, op.input.type.quantization
    if quantization is None:
        real = site.writer.real(op.input, layout)
        if op.beta != 1.0:
            real = site.node("Mul", [real, site.writer.initializer("beta", np.array(op.beta, np.float32))])
        site.define(site.node("Softmax", [real], axis=-1), layout)
        return
    stretched = replace(quantization, scales=tuple(scale * op.beta for scale in quantization.scales))
    label = site.writer.quantization(op.input.name, stretched, op.input.type.dtype)
    codes = [site.writer.codes(op.input, layout), *label]
    if site.uses_qoperator(op.input):
        # The attribute says which of the operator's two meanings is wanted; from 13 on it is one axis.
        inputs = [*codes, *site.quantization_of(site.result)]
        site.define_codes(site.node("QLinearSoftmax", inputs, MICROSOFT, axis=-1, opset=13), layout)
        return
    real = site.writer.real(op.input, layout)
    if op.beta != 1.0:
        real = site.node("DequantizeLinear", codes, axis=quantization.axis)
    site.define(site.node("Softmax", [real], axis=-1), layout)


@ONNX_EXPORTS.register(nn.LogSoftmax)
def export_log_softmax(op: Op, site: Site) -> None:
    """``LogSoftmax`` over the last axis."""
    assert isinstance(op, nn.LogSoftmax)
    layout = Layout.LOGICAL
    site.define(site.node("LogSoftmax", [site.writer.real(op.input, layout)], axis=-1), layout)


@ONNX_EXPORTS.register(nn.LeakyRelu, nn.Elu, nn.Sigmoid, nn.Tanh, nn.HardSigmoid)
def export_function(op: Op, site: Site) -> None:
    """The operator of the same name, over reals; ``QLinearLeakyRelu`` and ``QLinearSigmoid``."""
    assert isinstance(op, nn.LeakyRelu | nn.Elu | nn.Sigmoid | nn.Tanh | nn.HardSigmoid)
    layout = site.common_layout(op.input)
    attributes = {name: getattr(op, name) for name in ("alpha", "beta") if hasattr(op, name)}
    if isinstance(op, nn.LeakyRelu | nn.Sigmoid) and site.uses_qoperator(op.input):
        inputs = [*site.codes_and_quantization(op.input, layout), *site.quantization_of(site.result)]
        site.define_codes(site.node(f"QLinear{type(op).__name__}", inputs, MICROSOFT, **attributes), layout)
        return
    site.define(site.node(type(op).__name__, [site.writer.real(op.input, layout)], **attributes), layout)


@ONNX_EXPORTS.register(nn.Abs, nn.Exp, nn.Log, nn.Sqrt, nn.Rsqrt)
def export_elementary(op: Op, site: Site) -> None:
    """The operator of the same name, over reals, behind a ``Relu`` where only codes from zero up have a result."""
    assert isinstance(op, nn.Abs | nn.Exp | nn.Log | nn.Sqrt | nn.Rsqrt)
    layout = site.common_layout(op.input)
    real = site.writer.real(op.input, layout)
    if isinstance(op, nn.Log | nn.Sqrt | nn.Rsqrt) and op.element.is_quantized:
        real = site.node("Relu", [real])
    if isinstance(op, nn.Rsqrt):
        site.define(site.node("Reciprocal", [site.node("Sqrt", [real])]), layout)
    else:
        site.define(site.node(type(op).__name__, [real]), layout)


@ONNX_EXPORTS.register(nn.Gelu)
def export_gelu(op: Op, site: Site) -> None:
    """Half the operand times one more than ``Erf`` or ``Tanh``, as the operator set that is written has no ``Gelu``."""
    assert isinstance(op, nn.Gelu)
    layout = site.common_layout(op.input)
    real = site.writer.real(op.input, layout)
    constants = {"half": 0.5, "one": 1.0, "root_of_half": math.sqrt(0.5), "cubed": 0.044715}
    constants["root"] = math.sqrt(2 / math.pi)
    half, one, root_of_half, cubed, root = (
        site.writer.initializer(name, np.array(number, np.float32)) for name, number in constants.items()
    )
    if op.approximate:
        cube = site.node("Mul", [site.node("Mul", [real, real]), site.node("Mul", [real, cubed])])
        share = site.node("Tanh", [site.node("Mul", [site.node("Add", [real, cube]), root])])
    else:
        share = site.node("Erf", [site.node("Mul", [real, root_of_half])])
    halved = site.node("Mul", [real, half])
    site.define(site.node("Mul", [halved, site.node("Add", [share, one])]), layout)


@ONNX_EXPORTS.register(nn.HardSwish)
def export_hard_swish(op: Op, site: Site) -> None:
    """``HardSigmoid`` times its operand, as the operator set that is written has no ``HardSwish``."""
    assert isinstance(op, nn.HardSwish)
    layout = site.common_layout(op.input)
    real = site.writer.real(op.input, layout)
    gate = site.node("HardSigmoid", [real], alpha=1 / 6, beta=0.5)
    site.define(site.node("Mul", [real, gate]), layout)
