"""``int.rescale``: from one quantization to another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

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
