"""``nn.add`` and its kin: two operands, element by element, stretched over each other as numpy does it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from mrqc.ir.op import Op, Value
from mrqc.ir.types import FLOAT, Element, TensorType
from mrqc.ops.broadcast import broadcast_problems, result_shape
from mrqc.ops.nn.clamp import UNBOUNDED, clamp_problems


@dataclass(frozen=True)
class BinaryBase(Op):
    """Two operands of shapes that fit each other."""

    lhs: Value
    rhs: Value

    def problems(self) -> Iterator[str]:
        """Yield the broken rules."""
        yield from broadcast_problems(self.lhs, self.rhs)


@dataclass(frozen=True)
class ArithmeticBase(BinaryBase):
    """Two operands and a clamp behind the operation."""

    clamp: tuple[float, float] = UNBOUNDED
    element: Element = FLOAT

    def problems(self) -> Iterator[str]:
        """Yield the broken rules."""
        yield from super().problems()
        yield from clamp_problems(self.clamp)

    def infer(self) -> tuple[TensorType, ...]:
        """Return the common shape."""
        return (TensorType(result_shape(self.lhs, self.rhs), self.element),)


@dataclass(frozen=True)
class Add(ArithmeticBase):
    """``clamp(lhs + rhs)`` over the reals, rounded once to ``element``."""

    mnemonic: ClassVar[str] = "nn.add"
