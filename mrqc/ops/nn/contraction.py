"""``nn.conv2d``, ``nn.transpose_conv2d`` and ``nn.fully_connected``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from mrqc.ir.types import FLOAT, Element, TensorType
from mrqc.ops.contraction import BatchMatMulBase, Conv2DBase, FullyConnectedBase, TransposeConv2DBase
from mrqc.ops.nn.clamp import UNBOUNDED, clamp_problems


@dataclass(frozen=True)
class Conv2D(Conv2DBase):
    """``clamp(conv(input, weight) + bias)`` over the reals, rounded once to ``element``; padding is real zero."""

    mnemonic: ClassVar[str] = "nn.conv2d"
    clamp: tuple[float, float] = UNBOUNDED
    element: Element = FLOAT

    def problems(self) -> Iterator[str]:
        """Yield the broken rules."""
        yield from super().problems()
        yield from clamp_problems(self.clamp)

    def infer(self) -> tuple[TensorType, ...]:
        """Return the NHWC result."""
        return (TensorType(self.output_shape, self.element),)


@dataclass(frozen=True)
class TransposeConv2D(TransposeConv2DBase):
    """``clamp(transposed_conv(input, weight) + bias)`` over the reals, rounded once to ``element``."""

    mnemonic: ClassVar[str] = "nn.transpose_conv2d"
    clamp: tuple[float, float] = UNBOUNDED
    element: Element = FLOAT

    def problems(self) -> Iterator[str]:
        """Yield the broken rules."""
        yield from super().problems()
        yield from clamp_problems(self.clamp)

    def infer(self) -> tuple[TensorType, ...]:
        """Return the NHWC result."""
        return (TensorType(self.output_shape, self.element),)


@dataclass(frozen=True)
class FullyConnected(FullyConnectedBase):
    """``clamp(input weight^T + bias)`` over the reals, rounded once to ``element``."""

    mnemonic: ClassVar[str] = "nn.fully_connected"
    clamp: tuple[float, float] = UNBOUNDED
    element: Element = FLOAT

    def problems(self) -> Iterator[str]:
        """Yield the broken rules."""
        yield from super().problems()
        yield from clamp_problems(self.clamp)

    def infer(self) -> tuple[TensorType, ...]:
        """Return the ``[N, O]`` result."""
        return (TensorType(self.output_shape, self.element),)


@dataclass(frozen=True)
class BatchMatMul(BatchMatMulBase):
    """``clamp(lhs rhs)`` over the reals, rounded once to ``element``."""

    mnemonic: ClassVar[str] = "nn.batch_matmul"
    clamp: tuple[float, float] = UNBOUNDED
    element: Element = FLOAT

    def problems(self) -> Iterator[str]:
        """Yield the broken rules."""
        yield from super().problems()
        yield from clamp_problems(self.clamp)

    def infer(self) -> tuple[TensorType, ...]:
        """Return the products."""
        return (TensorType(self.output_shape, self.element),)
