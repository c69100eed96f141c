"""Kernels of both interpreters that move elements and never look at them."""

from __future__ import annotations

from typing import Any

import numpy as np

from mrqc.backends.interpreter import Array, Kernel
from mrqc.ops.structure import SliceBase


def slicer(op: SliceBase) -> Kernel:
    """Return the kernel of a slice; an axis that stays whole may have any extent, as the batch has."""
    parts = tuple(_part(op, axis) for axis in range(op.input.type.rank))

    def kernel(array: Array) -> Array:
        return np.ascontiguousarray(array[parts])

    return kernel


def taker(axis: int, indices: tuple[int, ...]) -> Kernel:
    """Return the kernel of a choice along one axis."""
    chosen = np.asarray(indices)

    def kernel(array: Array) -> Array:
        return np.take(array, chosen, axis)

    return kernel


def padder(padding: tuple[int, ...], value: Any) -> Kernel:
    """Return the kernel of a padding with one stored value."""
    pairs = [(padding[index], padding[index + 1]) for index in range(0, len(padding), 2)]

    def kernel(array: Array) -> Array:
        return np.pad(array, pairs, constant_values=value) if pairs else array

    return kernel


def _part(op: SliceBase, axis: int) -> slice:
    if op.is_whole(axis):
        return slice(None)
    begin, stride = op.begin[axis], op.strides[axis]
    end = begin + op.size[axis] * stride
    # Backwards to the very first element: an end of -1 would mean the last one.
    return slice(begin, end if end >= 0 else None, stride)
