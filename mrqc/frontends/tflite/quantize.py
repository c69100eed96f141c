"""QUANTIZE and DEQUANTIZE."""

from __future__ import annotations

from collections.abc import Mapping

from mrqc.frontends.tflite.site import Site, Support
from mrqc.frontends.tflite.tensors import Constant, UnsupportedOperatorError
from mrqc.ir.dtype import DType
from mrqc.ir.op import Value
from mrqc.ir.types import FLOAT
from mrqc.ops import nn


def import_quantize(site: Site) -> Value:
    """Floats to codes, or codes of one scale to codes of another."""
    value = site.real_value(0)
    element = site.element()
    if element.quantization is None or not element.quantization.is_per_tensor:
        raise UnsupportedOperatorError(f"its result {site.result_record().name!r} needs one scale for the whole tensor")
    return site.emit(nn.Quantize(value, element))


def import_dequantize(site: Site) -> Value | Constant:
    """Codes to floats; constants, also of FLOAT16, become float constants."""
    if site.element() != FLOAT:
        raise UnsupportedOperatorError(f"its result is of type {site.element().dtype}, not FLOAT32")
    operand = site.operand(0)
    if isinstance(operand, Constant):
        if operand.element is not None and (operand.element.dtype is DType.F32 or not operand.element.is_quantized):
            raise UnsupportedOperatorError(f"constant {operand.name!r} has no quantization parameters")
        return Constant(operand.name, operand.real(), FLOAT)
    return site.emit(nn.Dequantize(operand))


QUANTIZE_RULES: Mapping[str, Support] = {
    "QUANTIZE": Support(import_quantize, (1, 1), "QuantizeOptions"),
    "DEQUANTIZE": Support(import_dequantize, (1, 1), "DequantizeOptions"),
}
"""Operators between real numbers and codes."""
