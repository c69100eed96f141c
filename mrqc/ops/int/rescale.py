"""``int.rescale`` and ``int.double_rescale``: from one quantization to another."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from mrqc.ir.dtype import DType
from mrqc.ir.op import Op, Value
from mrqc.ir.types import Element, TensorType
from mrqc.ops.int.contraction import activation_problems
from mrqc.ops.int.requantize import Requantize


@dataclass(frozen=True)
class Rescale(Op):
    """``requantize(input - input_zero_point)``."""

    mnemonic: ClassVar[str] = "int.rescale"
    input: Value
    input_zero_point: int
    requantize: Requantize
    element: Element

    def problems(self) -> Iterator[str]:
        """Yield the broken rules."""
        yield from activation_problems(self.input)
        dtype = self.input.type.dtype
        if dtype.is_integer and not dtype.minimum <= self.input_zero_point <= dtype.maximum:
            yield f"zero point {self.input_zero_point} is no code of {dtype}"
        yield from self.requantize.problems(self.element.dtype, 1)

    def infer(self) -> tuple[TensorType, ...]:
        """Return the input's shape."""
        return (TensorType(self.input.type.shape, self.element),)


@dataclass(frozen=True)
class DoubleRescale(Op):
    """``clamp(round(input * scale) + zero_point, minimum, maximum)``, the product in double precision.

    The product is rounded to 53 bits, half to even, then to an integer, half away from zero: what TensorFlow Lite's
    fully connected layer makes of its sums. With more than one scale there is one for each index of the last axis.
    """

    mnemonic: ClassVar[str] = "int.double_rescale"
    input: Value
    scales: tuple[float, ...]
    zero_point: int
    minimum: int
    maximum: int
    element: Element

    def problems(self) -> Iterator[str]:
        """Yield the broken rules."""
        shape, dtype = self.input.type.shape, self.element.dtype
        if self.input.type.dtype not in (DType.I8, DType.U8, DType.I16, DType.I32):
            yield f"the input must be integers of at most 32 bits, found {self.input.type.dtype}"
        if len(self.scales) != 1 and (not shape or len(self.scales) != shape[-1]):
            yield f"{len(self.scales)} scales for an input of shape {list(shape)}"
        if any(not (math.isfinite(scale) and scale > 0) for scale in self.scales):
            yield "scales must be positive and finite"
        if dtype not in (DType.I8, DType.U8, DType.I16):
            yield f"the result must be i8, u8 or i16, found {dtype}"
            return
        if not dtype.minimum <= self.minimum <= self.maximum <= dtype.maximum:
            yield f"the clamp [{self.minimum}, {self.maximum}] is not an interval of {dtype}"
        if not dtype.minimum <= self.zero_point <= dtype.maximum:
            yield f"zero point {self.zero_point} is no code of {dtype}"

    def infer(self) -> tuple[TensorType, ...]:
        """Return the input's shape."""
        return (TensorType(self.input.type.shape, self.element),)


@dataclass(frozen=True)
class Relabel(Op):
    """The same codes under another element of their dtype: nothing is computed."""

    mnemonic: ClassVar[str] = "int.relabel"
    input: Value
    element: Element

    def problems(self) -> Iterator[str]:
        """Yield the broken rules."""
        if self.element.dtype is not self.input.type.dtype:
            yield f"codes of {self.input.type.dtype} cannot become {self.element.dtype}"

    def infer(self) -> tuple[TensorType, ...]:
        """Return the input's shape."""
        return (TensorType(self.input.type.shape, self.element),)
