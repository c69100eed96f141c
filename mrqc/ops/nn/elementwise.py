"""``nn.add`` and its kin: two operands, element by element, stretched over each other as numpy does it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from mrqc.ir.op import Op, Value
from mrqc.ir.types import FLOAT, Element, TensorType
from mrqc.ops.broadcast import broadcast_problems, result_shape, slope_problems
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


@dataclass(frozen=True)
class Sub(ArithmeticBase):
    """``clamp(lhs - rhs)`` over the reals, rounded once to ``element``."""

    mnemonic: ClassVar[str] = "nn.sub"


@dataclass(frozen=True)
class SquaredDifference(BinaryBase):
    """``(lhs - rhs)**2`` over the reals, rounded once to ``element``."""

    mnemonic: ClassVar[str] = "nn.squared_difference"
    element: Element = FLOAT

    def infer(self) -> tuple[TensorType, ...]:
        """Return the common shape."""
        return (TensorType(result_shape(self.lhs, self.rhs), self.element),)


@dataclass(frozen=True)
class Mul(ArithmeticBase):
    """``clamp(lhs * rhs)`` over the reals, rounded once to ``element``."""

    mnemonic: ClassVar[str] = "nn.mul"


@dataclass(frozen=True)
class ExtremumBase(BinaryBase):
    """One of two operands."""

    element: Element = FLOAT

    def infer(self) -> tuple[TensorType, ...]:
        """Return the common shape."""
        return (TensorType(result_shape(self.lhs, self.rhs), self.element),)


@dataclass(frozen=True)
class Maximum(ExtremumBase):
    """The greater of both operands over the reals, rounded once to ``element``."""

    mnemonic: ClassVar[str] = "nn.maximum"


@dataclass(frozen=True)
class Minimum(ExtremumBase):
    """The lesser of both operands over the reals, rounded once to ``element``."""

    mnemonic: ClassVar[str] = "nn.minimum"


@dataclass(frozen=True)
class Prelu(Op):
    """``input`` where it is positive, else ``input * slope``, rounded once to ``element``.

    The slope is stretched over the input.
    """

    mnemonic: ClassVar[str] = "nn.prelu"
    input: Value
    slope: Value
    element: Element = FLOAT

    def problems(self) -> Iterator[str]:
        """Yield the broken rules."""
        yield from slope_problems(self.input, self.slope)

    def infer(self) -> tuple[TensorType, ...]:
        """Return the input's shape."""
        return (TensorType(self.input.type.shape, self.element),)
