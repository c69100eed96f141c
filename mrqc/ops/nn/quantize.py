"""``nn.quantize`` and ``nn.dequantize``: between reals and codes, and from one scale to another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from mrqc.ir.op import Op, Value
from mrqc.ir.types import FLOAT, Element, TensorType


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
