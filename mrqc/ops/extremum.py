"""``arg_max``: what both dialects share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mrqc.ir.dtype import DType
from mrqc.ir.op import Op, Value
from mrqc.ir.types import Element, TensorType
from mrqc.ops.reduction import reduced_shape
from mrqc.ops.structure import axis_problems, per_tensor_problems

INDEX = Element(DType.I32)
"""What indices are, where nothing else is said."""


@dataclass(frozen=True)
class ArgMaxBase(Op):
    """Index along ``axis`` of the greatest element, or the least where ``smallest``; the first of equal ones."""

    input: Value
    axis: int
    keep_dims: bool = False
    smallest: bool = False
    element: Element = INDEX

    def problems(self) -> Iterator[str]:
        """Yield the broken rules."""
        yield from per_tensor_problems(self.input, "compared")
        yield from axis_problems(self.input, self.axis)
        if self.element.dtype not in (DType.I32, DType.I64) or self.element.is_quantized:
            yield "an index is a plain i32 or i64"

    def infer(self) -> tuple[TensorType, ...]:
        """Return the remaining axes."""
        return (TensorType(reduced_shape(self.input, (self.axis,), self.keep_dims), self.element),)
