"""What moves elements, and changes of scale."""

from __future__ import annotations

from mrqc.backends.tflite.file import Options
from mrqc.backends.tflite.writer import TFLITE_EXPORTS, Site
from mrqc.errors import RefusalError
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


@TFLITE_EXPORTS.register(nn.Relabel)
def refuse_relabel(op: Op, site: Site) -> None:
    """Refuse: a tensor has one scale, for those who write it and those who read it."""
    del site
    raise RefusalError(f"{op.mnemonic}: TFLite has no such operator, one that reads codes at another scale")
