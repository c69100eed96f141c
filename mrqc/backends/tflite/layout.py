"""What moves elements, and changes of scale."""

from __future__ import annotations

from mrqc.backends.tflite.file import Options
from mrqc.backends.tflite.writer import TFLITE_EXPORTS, Site
from mrqc.ir import Op
from mrqc.ops import nn


@TFLITE_EXPORTS.register(nn.Constant)
def export_constant(op: Op, site: Site) -> None:
    """Nothing: a constant is written where it is used."""
    del op, site


@TFLITE_EXPORTS.register(nn.Reshape)
def export_reshape(op: Op, site: Site) -> None:
    """``RESHAPE``."""
    assert isinstance(op, nn.Reshape)
    site.finish("RESHAPE", [site.operand(op.input), site.writer.integers("shape", op.shape)], Options("ReshapeOptions"))


@TFLITE_EXPORTS.register(nn.Transpose)
def export_transpose(op: Op, site: Site) -> None:
    """``TRANSPOSE``."""
    assert isinstance(op, nn.Transpose)
    permutation = site.writer.integers("permutation", op.permutation)
    site.finish("TRANSPOSE", [site.operand(op.input), permutation], Options("TransposeOptions"))


@TFLITE_EXPORTS.register(nn.Quantize)
def export_quantize(op: Op, site: Site) -> None:
    """``QUANTIZE``, from floats or from another scale."""
    assert isinstance(op, nn.Quantize)
    site.finish("QUANTIZE", [site.operand(op.input)], Options("QuantizeOptions"))


@TFLITE_EXPORTS.register(nn.Dequantize)
def export_dequantize(op: Op, site: Site) -> None:
    """``DEQUANTIZE``."""
    assert isinstance(op, nn.Dequantize)
    site.finish("DEQUANTIZE", [site.operand(op.input)], Options("DequantizeOptions"))
