"""Convolutions and fully connected layers."""

from __future__ import annotations

from typing import Any

import numpy as np

from mrqc.backends.onnx.site import ONNX_EXPORTS, Site
from mrqc.backends.onnx.writer import MICROSOFT, Layout
from mrqc.errors import RefusalError
from mrqc.ir import DType, Op
from mrqc.ops import nn

_BIAS_TOLERANCE = 1e-5
"""So close are the scales of a bias to those of the sums that only roundings to single precision lie between."""


@ONNX_EXPORTS.register(nn.Conv2D)
def export_conv2d(op: Op, site: Site) -> None:
    """``Conv`` or ``QLinearConv``."""
    assert isinstance(op, nn.Conv2D)
    top, left, bottom, right = op.padding
    attributes: dict[str, Any] = {
        "kernel_shape": op.window.kernel,
        "strides": op.strides,
        "pads": (top, left, bottom, right),
        "dilations": op.dilations,
        "group": op.groups,
    }
    layout = Layout.CHANNELS_FIRST
    if site.uses_qoperator(op.input, weight=op.weight) and _has_bias_of_the_sums(op):
        inputs = [
            *site.codes_and_quantization(op.input, layout),
            *site.codes_and_quantization(op.weight, layout),
            *site.quantization_of(site.result),
        ]
        if op.bias is not None:
            inputs.append(site.writer.codes(op.bias, Layout.LOGICAL))
        site.define_codes(site.node("QLinearConv", inputs, **attributes), layout, op.clamp)
        return
    inputs = [site.writer.real(op.input, layout), site.writer.real(op.weight, layout)]
    if op.bias is not None:
        inputs.append(site.writer.real(op.bias, Layout.LOGICAL))
    site.define(site.node("Conv", inputs, **attributes), layout, op.clamp)


@ONNX_EXPORTS.register(nn.TransposeConv2D)
def export_transpose_conv2d(op: Op, site: Site) -> None:
    """``ConvTranspose``, whose weights have the input channels first and the outputs of one group second."""
    assert isinstance(op, nn.TransposeConv2D)
    layout = Layout.CHANNELS_FIRST
    _, height, width, depth = op.weight.type.shape
    top, left, bottom, right = op.padding
    weights = site.writer.real(op.weight, layout)
    if op.groups > 1:
        raise RefusalError("a transposed convolution with groups")
    if any(-behind >= step for behind, step in zip((bottom, right), op.strides, strict=True)):
        raise RefusalError(f"a transposed convolution with padding {list(op.padding)}: ONNX adds less than a stride")
    assert depth == op.input.type.shape[3]
    exchanged = site.node("Transpose", [weights], perm=(1, 0, 2, 3))
    inputs = [site.writer.real(op.input, layout), exchanged]
    if op.bias is not None:
        inputs.append(site.writer.real(op.bias, Layout.LOGICAL))
    name = site.node(
        "ConvTranspose",
        inputs,
        kernel_shape=(height, width),
        strides=op.strides,
        dilations=op.dilations,
        pads=(top, left, max(bottom, 0), max(right, 0)),
        output_padding=(max(-bottom, 0), max(-right, 0)),
    )
    site.define(name, layout, op.clamp)


@ONNX_EXPORTS.register(nn.BatchMatMul)
def export_batch_matmul(op: Op, site: Site) -> None:
    """``MatMul``, behind a ``Transpose`` of what is adjoint."""
    assert isinstance(op, nn.BatchMatMul)
    operands: list[str] = []
    for value, adjoint in ((op.lhs, op.adjoint_lhs), (op.rhs, op.adjoint_rhs)):
        name = site.writer.real(value, Layout.LOGICAL)
        axes = list(range(value.type.rank))
        permutation = (*axes[:-2], axes[-1], axes[-2])
        operands.append(site.node("Transpose", [name], perm=permutation) if adjoint else name)
    site.define(site.node("MatMul", operands), Layout.LOGICAL, op.clamp)


@ONNX_EXPORTS.register(nn.FullyConnected)
def export_fully_connected(op: Op, site: Site) -> None:
    """``Gemm`` or ``QGemm``, the weights as the IR has them: one row for each output; floats without bias: ``MatMul``.

    Where a row is long, the runtime begins the sum of a ``Gemm`` with the bias; what is added behind a ``MatMul`` comes
    last unless optimizations are on. The import keeps the two apart, and so does the file.
    """
    assert isinstance(op, nn.FullyConnected)
    layout = Layout.LOGICAL
    if site.uses_qoperator(op.input, weight=op.weight) and _has_bias_of_the_sums(op):
        bias = "" if op.bias is None else site.writer.codes(op.bias, layout)
        inputs = [
            *site.codes_and_quantization(op.input, layout),
            *site.codes_and_quantization(op.weight, layout),
            bias,
            *site.quantization_of(site.result),
        ]
        site.define_codes(site.node("QGemm", inputs, MICROSOFT, transB=1), layout, op.clamp)
        return
    if op.bias is None and not (op.input.type.element.is_quantized or op.element.is_quantized):
        factors = [site.writer.real(op.input, layout), site.writer.real(op.weight, Layout.EXCHANGED)]
        site.define(site.node("MatMul", factors), layout, op.clamp)
        return
    inputs = [site.writer.real(op.input, layout), site.writer.real(op.weight, layout)]
    if op.bias is not None:
        inputs.append(site.writer.real(op.bias, layout))
    site.define(site.node("Gemm", inputs, transB=1), layout, op.clamp)


def _has_bias_of_the_sums(op: nn.Conv2D | nn.FullyConnected) -> bool:
    """Whether operators over codes can take the bias: as integers, which they add to the sums of products."""
    if op.bias is None:
        return True
    found, input_, weight = (value.type.quantization for value in (op.bias, op.input, op.weight))
    if found is None or input_ is None or weight is None or op.bias.type.dtype is not DType.I32:
        return False
    if not found.is_symmetric or len(found.scales) not in (1, len(weight.scales)):
        return False
    sums = input_.scale * np.asarray(weight.scales)
    return bool(np.abs(np.asarray(found.scales) / sums - 1).max() < _BIAS_TOLERANCE)
