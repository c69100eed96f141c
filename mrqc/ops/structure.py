"""Ops that move or hold elements without touching them, the same in both dialects."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from mrqc.ir.data import Data
from mrqc.ir.op import Op, Value
from mrqc.ir.types import Element, TensorType


@dataclass(frozen=True)
class ConstantBase(Op):
    """A tensor known at compile time: ``value`` holds its codes, the element says what they mean."""

    value: Data
    element: Element

    def problems(self) -> Iterator[str]:
        """Yield the broken rules."""
        if self.value.dtype is not self.element.dtype:
            yield f"the data is {self.value.dtype}, the type says {self.element.dtype}"

    def infer(self) -> tuple[TensorType, ...]:
        """Return the shape of the data with the element."""
        return (TensorType(self.value.shape, self.element),)


@dataclass(frozen=True)
class ReshapeBase(Op):
    """The same elements in the same order under another shape."""

    input: Value
    shape: tuple[int, ...]

    def problems(self) -> Iterator[str]:
        """Yield the broken rules."""
        if math.prod(self.shape) != self.input.type.size:
            yield f"{self.input.type.size} elements cannot take shape {list(self.shape)}"
        quantization = self.input.type.quantization
        if quantization is not None and not quantization.is_per_tensor:
            yield "only a per-tensor quantized value can be reshaped"

    def infer(self) -> tuple[TensorType, ...]:
        """Return the new shape with the input's element."""
        return (TensorType(self.shape, self.input.type.element),)


@dataclass(frozen=True)
class TransposeBase(Op):
    """Axis ``i`` of the result is axis ``permutation[i]`` of the input."""

    input: Value
    permutation: tuple[int, ...]

    def problems(self) -> Iterator[str]:
        """Yield the broken rules."""
        if sorted(self.permutation) != list(range(self.input.type.rank)):
            yield f"{list(self.permutation)} is no permutation of {self.input.type.rank} axes"

    def infer(self) -> tuple[TensorType, ...]:
        """Return the permuted shape; a quantization axis moves along."""
        type_ = self.input.type
        element = type_.element
        if element.quantization is not None and element.quantization.axis is not None:
            axis = self.permutation.index(element.quantization.axis)
            element = replace(element, quantization=replace(element.quantization, axis=axis))
        return (TensorType(tuple(type_.shape[axis] for axis in self.permutation), element),)
