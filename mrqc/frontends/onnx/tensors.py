"""What a name of the ONNX graph stands for while it is imported."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from mrqc.frontends.constants import Constant, Lost
from mrqc.ir.op import Value

NHWC_SEEN_AS_NCHW = (0, 3, 1, 2)
"""How ONNX sees an image tensor that the IR holds as NHWC."""


@dataclass(frozen=True, slots=True)
class Activation:
    """A tensor that is computed: ``onnx_tensor = transpose(value, permutation)``.

    Attributes:
        value: What the IR holds.
        permutation: Axis ``i`` as ONNX sees the tensor is axis ``permutation[i]`` of the value.
    """

    value: Value
    permutation: tuple[int, ...]

    @classmethod
    def plain(cls, value: Value) -> Activation:
        """Return a tensor that ONNX sees just as the IR holds it."""
        return cls(value, tuple(range(value.type.rank)))

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape that ONNX sees."""
        return tuple(self.value.type.shape[axis] for axis in self.permutation)

    def transposed(self, permutation: tuple[int, ...]) -> Activation:
        """Return the same value, seen with its axes permuted once more."""
        return Activation(self.value, tuple(self.permutation[axis] for axis in permutation))


Tensor: TypeAlias = Activation | Constant | Lost
