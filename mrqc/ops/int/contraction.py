"""``int.conv2d`` and ``int.fully_connected``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar

from mrqc.ir.dtype import DType
from mrqc.ir.op import Value
from mrqc.ir.types import Element, TensorType
from mrqc.ops.contraction import Conv2DBase, FullyConnectedBase
from mrqc.ops.int.requantize import Requantize

ACTIVATION_DTYPES = (DType.I8, DType.U8, DType.I16)


@dataclass(frozen=True)
class Conv2D(Conv2DBase):
    """``requantize(sum(input * weight) + bias)`` over integers; padding contributes nothing.

    The accumulator is a 32-bit integer that never overflows; analysis proves it from the weights.
    """

    mnemonic: ClassVar[str] = "int.conv2d"
    requantize: Requantize = field(kw_only=True)
    element: Element = field(kw_only=True)

    def problems(self) -> Iterator[str]:
        """Yield the broken rules."""
        broken = [*super().problems()]
        yield from broken
        if broken:
            return
        yield from contraction_problems(self.input, self.weight, self.bias)
        yield from self.requantize.problems(self.element.dtype, self.weight.type.shape[0])

    def infer(self) -> tuple[TensorType, ...]:
        """Return the NHWC result."""
        return (TensorType(self.output_shape, self.element),)


@dataclass(frozen=True)
class FullyConnected(FullyConnectedBase):
    """``requantize(input weight^T + bias)`` over integers."""

    mnemonic: ClassVar[str] = "int.fully_connected"
    requantize: Requantize = field(kw_only=True)
    element: Element = field(kw_only=True)

    def problems(self) -> Iterator[str]:
        """Yield the broken rules."""
        broken = [*super().problems()]
        yield from broken
        if broken:
            return
        yield from contraction_problems(self.input, self.weight, self.bias)
        yield from self.requantize.problems(self.element.dtype, self.weight.type.shape[0])

    def infer(self) -> tuple[TensorType, ...]:
        """Return the ``[N, O]`` result."""
        return (TensorType(self.output_shape, self.element),)


def contraction_problems(input_: Value, weight: Value, bias: Value | None) -> Iterator[str]:
    """Yield a sentence for each operand that is not stored as an integer contraction needs it."""
    yield from activation_problems(input_)
    if weight.type.dtype is not DType.I8:
        yield f"weights must be i8, found {weight.type.dtype}"
    if bias is not None and bias.type.dtype is not DType.I32:
        yield f"a bias must be i32, found {bias.type.dtype}"


def activation_problems(*values: Value) -> Iterator[str]:
    """Yield a sentence for each value that is not stored as an activation."""
    for value in values:
        if value.type.dtype not in ACTIVATION_DTYPES:
            yield f"activations must be {', '.join(ACTIVATION_DTYPES)}; {value} is {value.type.dtype}"
