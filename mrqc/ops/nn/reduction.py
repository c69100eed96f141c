"""``nn.mean``, ``nn.sum`` and ``nn.arg_max``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from mrqc.ir.op import Op, Value
from mrqc.ir.types import FLOAT, Element, TensorType
from mrqc.ops.extremum import ArgMaxBase
from mrqc.ops.reduction import axes_problems, reduced_count, reduced_shape


@dataclass(frozen=True)
class _Reduction(Op):
    """One result for all elements along some axes, which are given in ascending order."""

    input: Value
    axes: tuple[int, ...]
    keep_dims: bool = False
    element: Element = FLOAT

    @property
    def count(self) -> int:
        """How many elements become one."""
        return reduced_count(self.input, self.axes)

    def problems(self) -> Iterator[str]:
        """Yield the broken rules."""
        yield from axes_problems(self.input, self.axes)

    def infer(self) -> tuple[TensorType, ...]:
        """Return the remaining axes."""
        return (TensorType(reduced_shape(self.input, self.axes, self.keep_dims), self.element),)


@dataclass(frozen=True)
class Mean(_Reduction):
    """Mean of the real values along ``axes``, which stay with extent 1 where ``keep_dims``."""

    mnemonic: ClassVar[str] = "nn.mean"


@dataclass(frozen=True)
class Sum(_Reduction):
    """Sum of the real values along ``axes``, which stay with extent 1 where ``keep_dims``."""

    mnemonic: ClassVar[str] = "nn.sum"


@dataclass(frozen=True)
class ArgMax(ArgMaxBase):
    """Index of the greatest real value."""

    mnemonic: ClassVar[str] = "nn.arg_max"
