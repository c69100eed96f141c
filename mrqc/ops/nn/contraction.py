"""``nn.conv2d``, ``nn.transpose_conv2d`` and ``nn.fully_connected``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from mrqc.ir.types import FLOAT, Element, TensorType
from mrqc.ops.contraction import (
    BatchMatMulBase,
    ContractionBase,
    Conv2DBase,
    FullyConnectedBase,
    TransposeConv2DBase,
)
from mrqc.ops.nn.clamp import UNBOUNDED, clamp_problems


@dataclass(frozen=True)
class _Clamped(ContractionBase):
    """A contraction over the reals, whose result is confined to an interval and then rounded once."""

    clamp: tuple[float, float] = UNBOUNDED
    element: Element = FLOAT

    def problems(self) -> Iterator[str]:
        """Yield the broken rules."""
        yield from super().problems()
        yield from clamp_problems(self.clamp)

    def infer(self) -> tuple[TensorType, ...]:
        """Return the shape of the result with the element."""
        return (TensorType(self.output_shape, self.element),)


@dataclass(frozen=True)
class Conv2D(_Clamped, Conv2DBase):
    """``clamp(conv(input, weight) + bias)`` over the reals, rounded once to ``element``; padding is real zero."""

    mnemonic: ClassVar[str] = "nn.conv2d"


@dataclass(frozen=True)
class TransposeConv2D(_Clamped, TransposeConv2DBase):
    """``clamp(transposed_conv(input, weight) + bias)`` over the reals, rounded once to ``element``."""

    mnemonic: ClassVar[str] = "nn.transpose_conv2d"


@dataclass(frozen=True)
class FullyConnected(_Clamped, FullyConnectedBase):
    """``clamp(input weight^T + bias)`` over the reals, rounded once to ``element``."""

    mnemonic: ClassVar[str] = "nn.fully_connected"


@dataclass(frozen=True)
class BatchMatMul(_Clamped, BatchMatMulBase):
    """``clamp(lhs rhs)`` over the reals, rounded once to ``element``."""

    mnemonic: ClassVar[str] = "nn.batch_matmul"
