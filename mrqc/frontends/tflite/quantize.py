"""QUANTIZE and DEQUANTIZE."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrqc.frontends.constants import Constant, UnsupportedError
from mrqc.frontends.tflite.site import Site, Support
from mrqc.frontends.tflite.tensors import type_of
from mrqc.ir.dtype import DType
from mrqc.ir.op import Value
from mrqc.ir.types import FLOAT, TensorType
from mrqc.ops import nn


def import_quantize(site: Site) -> Value | Constant:
    """Floats to codes, or codes of one scale to codes of another; constants with scales for channels too."""
    operand, element = site.operand(0), site.element()
    if isinstance(operand, Constant) and operand.element == FLOAT and element.is_quantized:
        if not np.isfinite(operand.array).all():
            raise UnsupportedError(f"constant {operand.name!r} is not finite")
        return Constant(operand.name, _codes(operand.array, type_of(site.result_record(), operand.shape)), element)
    value = site.real_value(0)
    if element.quantization is None or not element.quantization.is_per_tensor:
        raise UnsupportedError(f"its result {site.result_record().name!r} needs one scale for the whole tensor")
    return site.emit(nn.Quantize(value, element))


def _codes(reals: NDArray[np.float32], type_: TensorType) -> NDArray[Any]:
    """Return the codes that the runtime gives constants: a quotient in single precision, ties away from zero."""
    quantization, dtype = type_.quantization, type_.dtype
    assert quantization is not None
    scales = quantization.broadcast_scales(reals.ndim).astype(np.float32)
    quotients = (reals / scales).astype(np.float64)
    rounded = np.copysign(np.floor(np.abs(quotients) + 0.5), quotients)
    codes = rounded + quantization.broadcast_zero_points(reals.ndim)
    return np.clip(codes, dtype.minimum, dtype.maximum).astype(dtype.numpy)


def import_dequantize(site: Site) -> Value | Constant:
    """Codes to floats; constants, also of FLOAT16, become float constants."""
    if site.element() != FLOAT:
        raise UnsupportedError(f"its result is of type {site.element().dtype}, not FLOAT32")
    operand = site.operand(0)
    if isinstance(operand, Constant):
        if operand.element is not None and (operand.element.dtype is DType.F32 or not operand.element.is_quantized):
            raise UnsupportedError(f"constant {operand.name!r} has no quantization parameters")
        return Constant(operand.name, operand.real(), FLOAT)
    return site.emit(nn.Dequantize(operand))


QUANTIZE_RULES: Mapping[str, Support] = {
    "QUANTIZE": Support(import_quantize, (1, 1), "QuantizeOptions"),
    "DEQUANTIZE": Support(import_dequantize, (1, 1), "DequantizeOptions"),
}
"""Operators between real numbers and codes."""
