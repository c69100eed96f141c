"""``int.sum`` and ``int.arg_max``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from mrqc.ir.op import Op, Value
from mrqc.ir.types import Element, TensorType
from mrqc.ops.extremum import ArgMaxBase
from mrqc.ops.int.contraction import activation_problems
from mrqc.ops.int.requantize import Requantize
from mrqc.ops.reduction import axes_problems, reduced_count, reduced_shape


@dataclass(frozen=True)
class Sum(Op):
    """``requantize(sum(input - input_zero_point))`` along ``axes``; for a mean, the multiplier divides.

    The axes are in ascending order and stay with extent 1 where ``keep_dims``.
    """

    mnemonic: ClassVar[str] = "int.sum"
    input: Value
    axes: tuple[int, ...]
    keep_dims: bool
    input_zero_point: int
    requantize: Requantize
    element: Element

    @property
    def count(self) -> int:
        """How many elements become one."""
        return reduced_count(self.input, self.axes)

    def problems(self) -> Iterator[str]:
        """Yield the broken rules."""
        yield from activation_problems(self.input)
        yield from axes_problems(self.input, self.axes)
        dtype = self.input.type.dtype
        if dtype.is_integer and not dtype.minimum <= self.input_zero_point <= dtype.maximum:
            yield f"zero point {self.input_zero_point} is no code of {dtype}"
        yield from self.requantize.problems(self.element.dtype, 1)

    def infer(self) -> tuple[TensorType, ...]:
        """Return the remaining axes."""
        return (TensorType(reduced_shape(self.input, self.axes, self.keep_dims), self.element),)


@dataclass(frozen=True)
class ArgMax(ArgMaxBase):
    """Index of the greatest code."""

    mnemonic: ClassVar[str] = "int.arg_max"

    def problems(self) -> Iterator[str]:
        """Yield the broken rules."""
        yield from activation_problems(self.input)
        yield from super().problems()
