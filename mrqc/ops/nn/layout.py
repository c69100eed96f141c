"""What moves elements: ``nn.reshape``, ``nn.transpose``, ``nn.pad``, ``nn.concat``, ``nn.slice`` and their kin."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from mrqc.ir.op import Op, Value
from mrqc.ir.types import FLOAT, Element, TensorType
from mrqc.ops.structure import (
    ReshapeBase,
    SliceBase,
    TakeBase,
    TransposeBase,
    concat_problems,
    concat_shape,
    padded_shape,
    padding_problems,
)


@dataclass(frozen=True)
class Reshape(ReshapeBase):
    """The same elements under another shape."""

    mnemonic: ClassVar[str] = "nn.reshape"


@dataclass(frozen=True)
class Transpose(TransposeBase):
    """The axes in another order."""

    mnemonic: ClassVar[str] = "nn.transpose"


@dataclass(frozen=True)
class Slice(SliceBase):
    """A box of the elements, in steps; backwards where a stride is negative."""

    mnemonic: ClassVar[str] = "nn.slice"


@dataclass(frozen=True)
class Take(TakeBase):
    """The elements at constant indices along one axis."""

    mnemonic: ClassVar[str] = "nn.take"


@dataclass(frozen=True)
class Pad(Op):
    """The input with ``value``, rounded to the input's element, before and behind it.

    ``padding`` holds for each axis how much comes before and how much behind.
    """

    mnemonic: ClassVar[str] = "nn.pad"
    input: Value
    padding: tuple[int, ...]
    value: float = 0.0

    def problems(self) -> Iterator[str]:
        """Yield the broken rules."""
        yield from padding_problems(self.input, self.padding)

    def infer(self) -> tuple[TensorType, ...]:
        """Return the larger shape with the input's element."""
        return (TensorType(padded_shape(self.input, self.padding), self.input.type.element),)


class Mirror(StrEnum):
    """Where the mirror stands."""

    REFLECT = "reflect"
    """On the outermost elements, which are not repeated."""
    SYMMETRIC = "symmetric"
    """Beside the outermost elements, which are repeated."""


@dataclass(frozen=True)
class MirrorPad(Op):
    """The input with its own elements in reverse before and behind it; padding as for ``nn.pad``."""

    mnemonic: ClassVar[str] = "nn.mirror_pad"
    input: Value
    padding: tuple[int, ...]
    mode: Mirror

    def problems(self) -> Iterator[str]:
        """Yield the broken rules."""
        broken = [*padding_problems(self.input, self.padding)]
        yield from broken
        if broken:
            return
        repeated = self.mode is Mirror.SYMMETRIC
        for axis, extent in enumerate(self.input.type.shape):
            if max(self.padding[2 * axis : 2 * axis + 2]) > extent - (not repeated):
                yield f"axis {axis} of extent {extent} is too short for padding {list(self.padding)}"

    def infer(self) -> tuple[TensorType, ...]:
        """Return the larger shape with the input's element."""
        return (TensorType(padded_shape(self.input, self.padding), self.input.type.element),)

    def indices(self, axis: int) -> tuple[int, ...]:
        """Return which element of the input each one along an axis of the result is."""
        extent, (before, after) = self.input.type.shape[axis], self.padding[2 * axis : 2 * axis + 2]
        first = int(self.mode is Mirror.REFLECT)
        left = range(before - 1 + first, first - 1, -1)
        right = range(extent - 1 - first, extent - 1 - first - after, -1)
        return (*left, *range(extent), *right)


@dataclass(frozen=True)
class Concat(Op):
    """The inputs one behind the other along ``axis``, each rounded once to ``element``."""

    mnemonic: ClassVar[str] = "nn.concat"
    inputs: tuple[Value, ...]
    axis: int
    element: Element = FLOAT

    def problems(self) -> Iterator[str]:
        """Yield the broken rules."""
        yield from concat_problems(self.inputs, self.axis)

    def infer(self) -> tuple[TensorType, ...]:
        """Return the joint shape."""
        return (TensorType(concat_shape(self.inputs, self.axis), self.element),)
