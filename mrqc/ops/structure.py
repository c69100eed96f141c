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


@dataclass(frozen=True)
class SliceBase(Op):
    """Element ``i`` along each axis of the result is element ``begin + i * stride`` of the input."""

    input: Value
    begin: tuple[int, ...]
    size: tuple[int, ...]
    strides: tuple[int, ...]

    def problems(self) -> Iterator[str]:
        """Yield the broken rules."""
        shape = self.input.type.shape
        yield from per_tensor_problems(self.input, "sliced")
        if not len(self.begin) == len(self.size) == len(self.strides) == len(shape):
            yield f"begin, size and strides must have {len(shape)} entries each, one for each axis"
            return
        for axis, extent in enumerate(shape):
            first, count, stride = self.begin[axis], self.size[axis], self.strides[axis]
            last = first + (count - 1) * stride
            if count < 1 or stride == 0 or not (0 <= first < extent and 0 <= last < extent):
                yield f"{count} elements from {first} in steps of {stride} do not fit axis {axis} of extent {extent}"

    def infer(self) -> tuple[TensorType, ...]:
        """Return the size with the input's element."""
        return (TensorType(self.size, self.input.type.element),)

    def is_whole(self, axis: int) -> bool:
        """Whether an axis stays as it is."""
        return self.size[axis] == self.input.type.shape[axis] and self.strides[axis] == 1


@dataclass(frozen=True)
class TakeBase(Op):
    """Element ``i`` along ``axis`` of the result is element ``indices[i]`` of the input."""

    input: Value
    axis: int
    indices: tuple[int, ...]

    def problems(self) -> Iterator[str]:
        """Yield the broken rules."""
        yield from per_tensor_problems(self.input, "taken apart")
        yield from axis_problems(self.input, self.axis)
        if not self.indices:
            yield "there must be at least one index"
        if 0 <= self.axis < self.input.type.rank:
            extent = self.input.type.shape[self.axis]
            wrong = [index for index in self.indices if not 0 <= index < extent]
            if wrong:
                yield f"index {wrong[0]} lies outside axis {self.axis} of extent {extent}"

    def infer(self) -> tuple[TensorType, ...]:
        """Return the input's type with as many elements along the axis as there are indices."""
        shape = self.input.type.shape
        return (TensorType((*shape[: self.axis], len(self.indices), *shape[self.axis + 1 :]), self.input.type.element),)


def padding_problems(input_: Value, padding: tuple[int, ...]) -> Iterator[str]:
    """Yield the ways in which ``(before, after)`` for each axis do not pad a value."""
    yield from per_tensor_problems(input_, "padded")
    if len(padding) != 2 * input_.type.rank:
        yield f"padding must have {2 * input_.type.rank} entries, two for each axis, found {len(padding)}"
    if any(amount < 0 for amount in padding):
        yield f"padding must not be negative, found {list(padding)}"


def padded_shape(input_: Value, padding: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape with ``(before, after)`` added to each axis."""
    pairs = zip(padding[::2], padding[1::2], strict=True)
    return tuple(before + extent + after for extent, (before, after) in zip(input_.type.shape, pairs, strict=True))


def concat_problems(inputs: tuple[Value, ...], axis: int) -> Iterator[str]:
    """Yield the ways in which values cannot stand one behind the other along ``axis``."""
    if not inputs:
        yield "there must be at least one input"
        return
    yield from axis_problems(inputs[0], axis)
    first = inputs[0].type.shape
    for value in inputs[1:]:
        shape = value.type.shape
        if len(shape) != len(first) or shape[:axis] + shape[axis + 1 :] != first[:axis] + first[axis + 1 :]:
            yield f"shapes {list(first)} and {list(shape)} differ in another axis than {axis}"


def concat_shape(inputs: tuple[Value, ...], axis: int) -> tuple[int, ...]:
    """Return the shape of values that stand one behind the other along ``axis``."""
    first = inputs[0].type.shape
    return (*first[:axis], sum(value.type.shape[axis] for value in inputs), *first[axis + 1 :])


def axis_problems(input_: Value, axis: int) -> Iterator[str]:
    """Yield whether ``axis`` is none of the value's."""
    if not 0 <= axis < input_.type.rank:
        yield f"axis {axis} does not exist in a tensor of {input_.type.rank} axes"


def per_tensor_problems(input_: Value, participle: str) -> Iterator[str]:
    """Yield whether a value has several scales, which what is done to it would tear apart."""
    quantization = input_.type.quantization
    if quantization is not None and not quantization.is_per_tensor:
        yield f"only a per-tensor quantized value can be {participle}"
