"""``nn.add``: residual connections."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from mrqc.ir.op import Op, Value
from mrqc.ir.types import FLOAT, Element, TensorType
from mrqc.ops.nn.clamp import UNBOUNDED, clamp_problems


@dataclass(frozen=True)
class Add(Op):
    """``clamp(lhs + rhs)`` over the reals, rounded once to ``element``; both operands have the same shape."""

    mnemonic: ClassVar[str] = "nn.add"
    lhs: Value
    rhs: Value
    clamp: tuple[float, float] = UNBOUNDED
    element: Element = FLOAT

    def problems(self) -> Iterator[str]:
        """Yield the broken rules."""
        if self.lhs.type.shape != self.rhs.type.shape:
            yield f"shapes {list(self.lhs.type.shape)} and {list(self.rhs.type.shape)} differ"
        yield from clamp_problems(self.clamp)

    def infer(self) -> tuple[TensorType, ...]:
        """Return the common shape."""
        return (TensorType(self.lhs.type.shape, self.element),)
