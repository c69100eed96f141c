"""Scales and codes in single precision, step by step as ONNX Runtime computes them."""

from __future__ import annotations

import numpy as np

from mrqc.errors import RefusalError
from mrqc.ir.data import Data
from mrqc.ir.dtype import DType
from mrqc.ir.op import Value
from mrqc.ir.quantization import Quantization
from mrqc.ir.types import FLOAT, Element
from mrqc.numerics import clamped_codes
from mrqc.numerics.float32 import Single
from mrqc.ops import int as int_ops
from mrqc.passes.lower_to_int.rules import Site, per_tensor

BYTES = (DType.I8, DType.U8)


def quantization_of(element: Element) -> Quantization:
    """Return the quantization of a result.

    Raises:
        RefusalError: The element is float or per channel.
    """
    if element.quantization is None or not element.quantization.is_per_tensor:
        raise RefusalError("the result is float", "quantize it: the target runs quantized models only")
    return element.quantization


def byte_quantization(value: Value) -> Quantization:
    """Return the quantization of an operand that goes through a table.

    Raises:
        RefusalError: The operand is float, per channel, or wider than 8 bits.
    """
    if value.type.dtype not in BYTES:
        raise RefusalError(f"{value} is {value.type.dtype}; the runtime's kernels on codes take i8 and u8")
    return per_tensor(value)


def all_codes(dtype: DType) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
    """Return every code of an 8-bit type, the least first."""
    return np.arange(dtype.minimum, dtype.maximum + 1, dtype=np.int32)


def dequantized_codes(value: Value) -> Single:
    """Return the real value of every code of an operand: ``scale * (code - zero_point)``."""
    quantization = byte_quantization(value)
    return np.float32(quantization.scale) * (all_codes(value.type.dtype) - quantization.zero_point).astype(np.float32)


def quantized(
    reals: Single, element: Element, limits: tuple[int, int]
) -> np.ndarray[tuple[int, ...], np.dtype[np.int32]]:
    """Return the codes that QuantizeLinear gives: a division, clamped, rounded half to even, shifted."""
    quantization = quantization_of(element)
    with np.errstate(over="ignore"):
        units = reals / np.float32(quantization.scale)
    return clamped_codes(units, quantization.zero_point, *limits)


def emit_table(codes: np.ndarray[tuple[int, ...], np.dtype[np.int32]], element: Element, site: Site) -> Value:
    """Append a table of codes as a constant."""
    return site.emit(int_ops.Constant(Data.of(codes, element.dtype), Element(element.dtype)))


def emit_floats(numbers: Single, site: Site) -> Value:
    """Append a table of real numbers as a constant."""
    return site.emit(int_ops.Constant(Data.of(numbers, DType.F32), FLOAT))
