"""``int.conv2d``, ``int.transpose_conv2d`` and ``int.fully_connected``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar

from mrqc.ir.dtype import DType
from mrqc.ir.op import Value
from mrqc.ir.types import Element, TensorType
from mrqc.ops.contraction import (
    BatchMatMulBase,
    ContractionBase,
    Conv2DBase,
    FullyConnectedBase,
    TransposeConv2DBase,
)
from mrqc.ops.int.requantize import Requantize

ACTIVATION_DTYPES = (DType.I8, DType.U8, DType.I16)
WEIGHT_DTYPES = (DType.I8, DType.U8)
BIAS_DTYPES = (DType.I32, DType.I64)


@dataclass(frozen=True, kw_only=True)
class _Centred(ContractionBase):
    """An activation less its zero point meets weights less theirs."""

    input_zero_point: int = 0
    weight_zero_point: int = 0
    requantize: Requantize
    element: Element

    def problems(self) -> Iterator[str]:
        """Yield the broken rules."""
        broken = [*super().problems()]
        yield from broken
        if broken:
            return
        assert isinstance(self, Conv2D | TransposeConv2D | FullyConnected)
        yield from contraction_problems(self)
        yield from self.requantize.problems(self.element.dtype, self.weight.type.shape[0])

    def infer(self) -> tuple[TensorType, ...]:
        """Return the shape of the result with the element."""
        return (TensorType(self.output_shape, self.element),)


@dataclass(frozen=True)
class Conv2D(_Centred, Conv2DBase):
    """``requantize(sum((input - input_zero_point) * (weight - weight_zero_point)) + bias)`` over integers.

    Padding contributes nothing. The accumulator has 32 bits, or 64 where those may not be enough, and never
    overflows; analysis proves it from the weights.
    """

    mnemonic: ClassVar[str] = "int.conv2d"


@dataclass(frozen=True)
class TransposeConv2D(_Centred, TransposeConv2DBase):
    """As ``int.conv2d``, with each centred input element multiplied onto the pixels around it."""

    mnemonic: ClassVar[str] = "int.transpose_conv2d"


@dataclass(frozen=True)
class FullyConnected(_Centred, FullyConnectedBase):
    """``requantize((input - input_zero_point) (weight - weight_zero_point)^T + bias)`` over integers."""

    mnemonic: ClassVar[str] = "int.fully_connected"


@dataclass(frozen=True)
class BatchMatMul(BatchMatMulBase):
    """``requantize((lhs - lhs_zero_point) (rhs - rhs_zero_point))`` over integers."""

    mnemonic: ClassVar[str] = "int.batch_matmul"
    lhs_zero_point: int = field(default=0, kw_only=True)
    rhs_zero_point: int = field(default=0, kw_only=True)
    requantize: Requantize = field(kw_only=True)
    element: Element = field(kw_only=True)

    def problems(self) -> Iterator[str]:
        """Yield the broken rules."""
        yield from super().problems()
        yield from activation_problems(self.lhs, self.rhs)
        yield from zero_point_problems("lhs", self.lhs, self.lhs_zero_point)
        yield from zero_point_problems("rhs", self.rhs, self.rhs_zero_point)
        yield from self.requantize.problems(self.element.dtype, 1)

    def infer(self) -> tuple[TensorType, ...]:
        """Return the products."""
        return (TensorType(self.output_shape, self.element),)


def contraction_problems(op: Conv2D | TransposeConv2D | FullyConnected) -> Iterator[str]:
    """Yield a sentence for each operand that is not stored as an integer contraction needs it."""
    yield from activation_problems(op.input)
    yield from zero_point_problems("input", op.input, op.input_zero_point)
    if op.weight.type.dtype not in WEIGHT_DTYPES:
        yield f"weights must be {', '.join(WEIGHT_DTYPES)}, found {op.weight.type.dtype}"
    yield from zero_point_problems("weight", op.weight, op.weight_zero_point)
    if op.bias is not None and op.bias.type.dtype not in BIAS_DTYPES:
        yield f"a bias must be {', '.join(BIAS_DTYPES)}, found {op.bias.type.dtype}"


def zero_point_problems(role: str, value: Value, zero_point: int) -> Iterator[str]:
    """Yield a sentence if an operand cannot have that zero point; 16-bit codes less one would need 17 bits."""
    dtype = value.type.dtype
    if dtype is DType.I16 and zero_point != 0:
        yield f"the {role} zero point of {dtype} must be 0, found {zero_point}"
    elif not dtype.minimum <= zero_point <= dtype.maximum:
        yield f"{role} zero point {zero_point} is no code of {dtype}"


def activation_problems(*values: Value) -> Iterator[str]:
    """Yield a sentence for each value that is not stored as an activation."""
    for value in values:
        if value.type.dtype not in ACTIVATION_DTYPES:
            yield f"activations must be {', '.join(ACTIVATION_DTYPES)}; {value} is {value.type.dtype}"
