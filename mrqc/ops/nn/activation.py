"""Functions of one tensor: ``nn.clip`` (ReLU is a clip from 0 to infinity), ``nn.exp``, ``nn.softmax`` and so on."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from mrqc.ir.op import Op, Value
from mrqc.ir.types import FLOAT, Element, TensorType
from mrqc.ops.nn.clamp import UNBOUNDED, clamp_problems


class UnaryBase(Op):
    """What has one result for each element of its input."""

    input: Value
    element: Element

    def infer(self) -> tuple[TensorType, ...]:
        """Return the input's shape."""
        return (TensorType(self.input.type.shape, self.element),)


@dataclass(frozen=True)
class Clip(UnaryBase):
    """``min(max(input, clamp[0]), clamp[1])``."""

    mnemonic: ClassVar[str] = "nn.clip"
    input: Value
    clamp: tuple[float, float] = UNBOUNDED
    element: Element = FLOAT

    def problems(self) -> Iterator[str]:
        """Yield the broken rules."""
        yield from clamp_problems(self.clamp)


@dataclass(frozen=True)
class FunctionBase(UnaryBase):
    """A function of one real number, rounded once to ``element``."""

    input: Value
    element: Element = FLOAT


@dataclass(frozen=True)
class LeakyRelu(UnaryBase):
    """``x`` where it is positive, else ``alpha * x``, rounded once to ``element``."""

    mnemonic: ClassVar[str] = "nn.leaky_relu"
    input: Value
    alpha: float
    element: Element = FLOAT

    def problems(self) -> Iterator[str]:
        """Yield the broken rules."""
        yield from finite_problems(alpha=self.alpha)


@dataclass(frozen=True)
class Elu(UnaryBase):
    """``x`` where it is positive, else ``alpha * (exp(x) - 1)``, rounded once to ``element``."""

    mnemonic: ClassVar[str] = "nn.elu"
    input: Value
    alpha: float = 1.0
    element: Element = FLOAT

    def problems(self) -> Iterator[str]:
        """Yield the broken rules."""
        yield from finite_problems(alpha=self.alpha)


@dataclass(frozen=True)
class Sigmoid(FunctionBase):
    """``1 / (1 + exp(-x))``, rounded once to ``element``."""

    mnemonic: ClassVar[str] = "nn.sigmoid"


@dataclass(frozen=True)
class Tanh(FunctionBase):
    """``tanh(x)``, rounded once to ``element``."""

    mnemonic: ClassVar[str] = "nn.tanh"


@dataclass(frozen=True)
class HardSwish(FunctionBase):
    """``x * min(max(x + 3, 0), 6) / 6``, rounded once to ``element``."""

    mnemonic: ClassVar[str] = "nn.hard_swish"


@dataclass(frozen=True)
class Abs(FunctionBase):
    """The magnitude of ``x``, rounded once to ``element``."""

    mnemonic: ClassVar[str] = "nn.abs"


@dataclass(frozen=True)
class Exp(FunctionBase):
    """``exp(x)``, rounded once to ``element``."""

    mnemonic: ClassVar[str] = "nn.exp"


@dataclass(frozen=True)
class Log(FunctionBase):
    """``log(max(x, 0))``, rounded once to ``element``: the least code for zero and below."""

    mnemonic: ClassVar[str] = "nn.log"


@dataclass(frozen=True)
class Sqrt(FunctionBase):
    """``sqrt(max(x, 0))``, rounded once to ``element``."""

    mnemonic: ClassVar[str] = "nn.sqrt"


@dataclass(frozen=True)
class Rsqrt(FunctionBase):
    """``1 / sqrt(max(x, 0))``, rounded once to ``element``: the greatest code for zero and below."""

    mnemonic: ClassVar[str] = "nn.rsqrt"


@dataclass(frozen=True)
class Gelu(UnaryBase):
    """``x`` times the normal distribution's share below it, rounded once to ``element``.

    Attributes:
        input: The argument.
        approximate: Whether the share is ``(1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x**3))) / 2`` instead.
        element: Of the result.
    """

    mnemonic: ClassVar[str] = "nn.gelu"
    input: Value
    approximate: bool = False
    element: Element = FLOAT


@dataclass(frozen=True)
class HardSigmoid(UnaryBase):
    """``min(max(alpha * x + beta, 0), 1)``, rounded once to ``element``."""

    mnemonic: ClassVar[str] = "nn.hard_sigmoid"
    input: Value
    alpha: float
    beta: float
    element: Element = FLOAT

    def problems(self) -> Iterator[str]:
        """Yield the broken rules."""
        yield from finite_problems(alpha=self.alpha, beta=self.beta)


@dataclass(frozen=True)
class Softmax(UnaryBase):
    """``exp(beta * x) / sum(exp(beta * x))`` along the last axis, rounded once to ``element``."""

    mnemonic: ClassVar[str] = "nn.softmax"
    input: Value
    beta: float = 1.0
    element: Element = FLOAT

    def problems(self) -> Iterator[str]:
        """Yield the broken rules."""
        if self.input.type.rank < 1:
            yield "the input needs at least one axis"
        if not (math.isfinite(self.beta) and self.beta > 0):
            yield f"'beta' must be positive and finite, found {self.beta!r}"


@dataclass(frozen=True)
class LogSoftmax(FunctionBase):
    """``x - log(sum(exp(x)))`` along the last axis, rounded once to ``element``."""

    mnemonic: ClassVar[str] = "nn.log_softmax"

    def problems(self) -> Iterator[str]:
        """Yield the broken rules."""
        if self.input.type.rank < 1:
            yield "the input needs at least one axis"


def finite_problems(**numbers: float) -> Iterator[str]:
    """Yield a sentence for each parameter that is no finite number."""
    for name, number in numbers.items():
        if not math.isfinite(number):
            yield f"{name!r} must be finite, found {number!r}"
