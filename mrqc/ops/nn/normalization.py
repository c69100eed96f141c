"""``nn.batch_normalization``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from mrqc.ir.op import Op, Value
from mrqc.ir.types import FLOAT, TensorType
from mrqc.ops.nn.activation import finite_problems


@dataclass(frozen=True)
class BatchNormalization(Op):
    """``(input - mean) / sqrt(variance + epsilon) * scale + bias``, on floats, each channel with its own numbers.

    Channels are along the last axis. Quantized models have none: what scales and shifts is part of the layer before it
    by then (pass ``fold-batch-normalization``).
    """

    mnemonic: ClassVar[str] = "nn.batch_normalization"
    input: Value
    scale: Value
    bias: Value
    mean: Value
    variance: Value
    epsilon: float = 1e-5

    def problems(self) -> Iterator[str]:
        """Yield the broken rules."""
        if self.input.type.rank < 2:
            yield f"the input needs a batch and channels, found rank {self.input.type.rank}"
            return
        if any(operand.type.element != FLOAT for operand in self.operands):
            yield "all operands must be floats"
        channels = self.input.type.shape[-1:]
        for name in ("scale", "bias", "mean", "variance"):
            shape = getattr(self, name).type.shape
            if shape != channels:
                yield f"the {name} has shape {list(shape)}, not one number for each of the {channels[0]} channels"
        yield from finite_problems(epsilon=self.epsilon)

    def infer(self) -> tuple[TensorType, ...]:
        """Return the input's shape."""
        return (TensorType(self.input.type.shape, FLOAT),)
