"""``nn.quantize`` and ``nn.dequantize``: between reals and codes, and from one scale to another."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from mrqc.ir.op import Op, Value
from mrqc.ir.quantization import Quantization
from mrqc.ir.types import FLOAT, Element, TensorType

_SINGLE_PRECISION = 24


@dataclass(frozen=True)
class Quantize(Op):
    """Round the real value of ``input`` to the codes of ``element``; a quantized input changes its scale."""

    mnemonic: ClassVar[str] = "nn.quantize"
    input: Value
    element: Element

    def problems(self) -> Iterator[str]:
        """Yield the broken rules."""
        if not self.element.is_quantized:
            yield "the result must be quantized"

    def infer(self) -> tuple[TensorType, ...]:
        """Return the input's shape."""
        return (TensorType(self.input.type.shape, self.element),)


@dataclass(frozen=True)
class Dequantize(Op):
    """The real values of quantized codes."""

    mnemonic: ClassVar[str] = "nn.dequantize"
    input: Value

    def problems(self) -> Iterator[str]:
        """Yield the broken rules."""
        if not self.input.type.element.is_quantized:
            yield "the input must be quantized"

    def infer(self) -> tuple[TensorType, ...]:
        """Return the input's shape in floats."""
        return (TensorType(self.input.type.shape, FLOAT),)


@dataclass(frozen=True)
class Relabel(Op):
    """``input * factor``: the same codes at other scales, without rounding; floats are multiplied.

    With more than one factor there is one for each index of the last axis. Zero points, of codes, may move too: the
    result is then ``(input - scale * zero_point_shift) * factor``.
    """

    mnemonic: ClassVar[str] = "nn.relabel"
    input: Value
    factors: tuple[float, ...]
    zero_point_shift: int = 0

    def problems(self) -> Iterator[str]:
        """Yield the broken rules."""
        shape, quantization = self.input.type.shape, self.input.type.quantization
        if quantization is None and self.input.type.dtype.is_integer:
            yield f"the input must be quantized or float, found plain {self.input.type.dtype}"
        if len(self.factors) != 1 and (not shape or len(self.factors) != shape[-1]):
            yield f"{len(self.factors)} factors for an input of shape {list(shape)}"
        if any(not (math.isfinite(factor) and factor > 0) for factor in self.factors):
            yield "factors must be positive and finite"
        if self.zero_point_shift and quantization is None:
            yield "floats have no zero point to shift"
        if len(self.factors) > 1 and quantization is not None and quantization.axis not in (None, len(shape) - 1):
            yield "factors along the last axis meet scales along another one"

    def infer(self) -> tuple[TensorType, ...]:
        """Return the input's type with its scales times the factors."""
        type_, quantization = self.input.type, self.input.type.quantization
        if quantization is None:
            return (type_,)
        count = max(len(self.factors), len(quantization.scales))
        factors = self.factors * (count // len(self.factors))
        scales = quantization.scales * (count // len(quantization.scales))
        zero_points = tuple(z + self.zero_point_shift for z in quantization.zero_points)
        zero_points *= count // len(zero_points)
        axis = type_.rank - 1 if len(self.factors) > 1 else quantization.axis
        products = tuple(_product(scale, factor) for scale, factor in zip(scales, factors, strict=True))
        return (type_.with_element(Element(type_.dtype, Quantization(products, zero_points, axis))),)


def _product(scale: float, factor: float) -> float:
    """Return scale times factor; a number of single precision where only the rounding of the factor is in between.

    Labels that are meant to be powers of two, or to have few significant bits, come out exactly.
    """
    product = scale * factor
    if not math.isfinite(product) or product == 0.0:
        return product
    mantissa, exponent = math.frexp(product)
    nearest = math.ldexp(round(math.ldexp(mantissa, _SINGLE_PRECISION)), exponent - _SINGLE_PRECISION)
    return nearest if abs(product / nearest - 1.0) <= 2.0**-51 else product
