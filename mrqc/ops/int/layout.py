"""What moves codes: ``int.reshape``, ``int.transpose``, ``int.pad``, ``int.concat``, ``int.slice`` and ``int.take``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from mrqc.ir.op import Op, Value
from mrqc.ir.types import Element, TensorType
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
    """The same codes under another shape."""

    mnemonic: ClassVar[str] = "int.reshape"


@dataclass(frozen=True)
class Transpose(TransposeBase):
    """The axes in another order."""

    mnemonic: ClassVar[str] = "int.transpose"


@dataclass(frozen=True)
class Slice(SliceBase):
    """A box of the codes, in steps; backwards where a stride is negative."""

    mnemonic: ClassVar[str] = "int.slice"


@dataclass(frozen=True)
class Take(TakeBase):
    """The codes at constant indices along one axis."""

    mnemonic: ClassVar[str] = "int.take"


@dataclass(frozen=True)
class Pad(Op):
    """The input with ``code`` before and behind it; ``padding`` holds both amounts for each axis."""

    mnemonic: ClassVar[str] = "int.pad"
    input: Value
    padding: tuple[int, ...]
    code: int

    def problems(self) -> Iterator[str]:
        """Yield the broken rules."""
        yield from padding_problems(self.input, self.padding)
        dtype = self.input.type.dtype
        if not dtype.is_integer:
            yield f"codes are integers, not {dtype}"
        elif not dtype.minimum <= self.code <= dtype.maximum:
            yield f"{self.code} is no code of {dtype}"

    def infer(self) -> tuple[TensorType, ...]:
        """Return the larger shape with the input's element."""
        return (TensorType(padded_shape(self.input, self.padding), self.input.type.element),)


@dataclass(frozen=True)
class Concat(Op):
    """The codes of all inputs, one behind the other along ``axis``."""

    mnemonic: ClassVar[str] = "int.concat"
    inputs: tuple[Value, ...]
    axis: int
    element: Element

    def problems(self) -> Iterator[str]:
        """Yield the broken rules."""
        yield from concat_problems(self.inputs, self.axis)
        for value in self.inputs:
            if value.type.dtype is not self.element.dtype:
                yield f"{value} is {value.type.dtype}, the result {self.element.dtype}"

    def infer(self) -> tuple[TensorType, ...]:
        """Return the joint shape."""
        return (TensorType(concat_shape(self.inputs, self.axis), self.element),)
