"""What moves elements, and the ends of the quantized part."""

from __future__ import annotations

import numpy as np

from mrqc.backends.onnx.site import ONNX_EXPORTS, Site
from mrqc.backends.onnx.writer import TO_CHANNELS_FIRST, TO_CHANNELS_LAST, Form, Layout
from mrqc.ir import Op
from mrqc.ops import nn


@ONNX_EXPORTS.register(nn.Constant)
def export_constant(op: Op, site: Site) -> None:
    """Nothing: a constant is written where it is used."""
    del op, site


@ONNX_EXPORTS.register(nn.Reshape)
def export_reshape(op: Op, site: Site) -> None:
    """``Reshape`` of what is stored; in QDQ form of the real values where codes are of bytes, quantized as before.

    Runtimes take pairs of ``QuantizeLinear`` and ``DequantizeLinear`` for the codes between them; a node between the
    two would keep some from recognising the operators around it.
    """
    assert isinstance(op, nn.Reshape)
    shape = site.writer.initializer("shape", np.asarray(op.shape, np.int64))
    writer, layout = site.writer, site.writer.order_of_elements(op.input)
    element = op.input.type.element
    is_byte = element.quantization is not None and element.quantization.is_per_tensor and element.dtype.bytes == 1
    if writer.form is Form.QDQ and is_byte:
        site.define(site.node("Reshape", (writer.real(op.input, layout), shape)), Layout.LOGICAL)
        return
    site.define_codes(writer.node("Reshape", (writer.codes(op.input, layout), shape), site.name), Layout.LOGICAL)


@ONNX_EXPORTS.register(nn.Transpose)
def export_transpose(op: Op, site: Site) -> None:
    """Another name, between the two orders of an image; else ``Transpose`` of what is stored."""
    assert isinstance(op, nn.Transpose)
    writer = site.writer
    if op.permutation == TO_CHANNELS_LAST:
        writer.define_codes(site.result, writer.codes(op.input, Layout.LOGICAL), Layout.CHANNELS_FIRST)
    elif op.permutation == TO_CHANNELS_FIRST:
        writer.define_codes(site.result, writer.codes(op.input, Layout.CHANNELS_FIRST), Layout.LOGICAL)
    else:
        codes = writer.codes(op.input, Layout.LOGICAL)
        writer.define_codes(
            site.result, writer.node("Transpose", (codes,), site.name, perm=op.permutation), Layout.LOGICAL
        )


@ONNX_EXPORTS.register(nn.Quantize)
def export_quantize(op: Op, site: Site) -> None:
    """``QuantizeLinear``, behind a ``DequantizeLinear`` where the input has another scale."""
    assert isinstance(op, nn.Quantize)
    layout = site.common_layout(op.input)
    site.define(site.writer.real(op.input, layout), layout)


@ONNX_EXPORTS.register(nn.Dequantize)
def export_dequantize(op: Op, site: Site) -> None:
    """``DequantizeLinear``; that of a constant where it is used."""
    assert isinstance(op, nn.Dequantize)
    if op.input in site.writer.constants:
        site.writer.define_dequantized(site.result, op.input)
        return
    layout = site.common_layout(op.input)
    site.writer.define_codes(site.result, site.writer.real(op.input, layout), layout)


@ONNX_EXPORTS.register(nn.Relabel)
def export_relabel(op: Op, site: Site) -> None:
    """Another name for the codes, dequantized at the new scale where they are read; ``Mul`` of floats."""
    assert isinstance(op, nn.Relabel)
    writer = site.writer
    if op.input.type.element.is_quantized:
        layout = site.common_layout(op.input)
        writer.define_codes(site.result, writer.codes(op.input, layout), layout)
        return
    factors = writer.initializer("factors", np.asarray(op.factors, np.float32))
    site.define(site.node("Mul", (writer.real(op.input, Layout.LOGICAL), factors)), Layout.LOGICAL)
