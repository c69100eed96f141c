"""``nn.clip`` (ReLU is a clip from 0 to infinity, ReLU6 one from 0 to 6) and ``nn.softmax``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from mrqc.ir.op import Op, Value
from mrqc.ir.types import FLOAT, Element, TensorType
from mrqc.ops.nn.clamp import UNBOUNDED, clamp_problems


@dataclass(frozen=True)
class Clip(Op):
    """``min(max(input, clamp[0]), clamp[1])``."""

    mnemonic: ClassVar[str] = "nn.clip"
    input: Value
    clamp: tuple[float, float] = UNBOUNDED
    element: Element = FLOAT

    def problems(self) -> Iterator[str]:
        """Yield the broken rules."""
        yield from clamp_problems(self.clamp)

    def infer(self) -> tuple[TensorType, ...]:
        """Return the input's shape."""
        return (TensorType(self.input.type.shape, self.element),)


@dataclass(frozen=True)
class Softmax(Op):
    """``exp(x) / sum(exp(x))`` along the last axis."""

    mnemonic: ClassVar[str] = "nn.softmax"
    input: Value
    element: Element = FLOAT

    def problems(self) -> Iterator[str]:
        """Yield the broken rules."""
        if self.input.type.rank < 1:
            yield "the input needs at least one axis"

    def infer(self) -> tuple[TensorType, ...]:
        """Return the input's shape."""
        return (TensorType(self.input.type.shape, self.element),)
