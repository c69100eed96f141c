"""What moves elements."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mrqc.backends.interpreter import Array, Kernel
from mrqc.backends.moves import padder, slicer, taker
from mrqc.backends.reference.grid import Grid, quantization_of
from mrqc.backends.reference.rules import RULES
from mrqc.ir import Value
from mrqc.ops.nn import Concat, MirrorPad, Pad, Reshape, ResizeNearest, Slice, Take, Transpose


@RULES.register(Reshape)
def reshape(op: Reshape, _: Mapping[Value, Array]) -> Kernel:
    """Return the kernel of a reshape."""
    # -1 takes the batches in; a scalar has none.
    shape = (-1, *op.shape[1:]) if op.shape else ()

    def kernel(array: Array) -> Array:
        return array.reshape(shape)

    return kernel


@RULES.register(Transpose)
def transpose(op: Transpose, _: Mapping[Value, Array]) -> Kernel:
    """Return the kernel of a transpose."""

    def kernel(array: Array) -> Array:
        return np.ascontiguousarray(array.transpose(op.permutation))

    return kernel


@RULES.register(Slice)
def slice_(op: Slice, _: Mapping[Value, Array]) -> Kernel:
    """Return the kernel of a slice."""
    return slicer(op)


@RULES.register(Take)
def take(op: Take, _: Mapping[Value, Array]) -> Kernel:
    """Return the kernel of a choice along one axis."""
    return taker(op.axis, op.indices)


@RULES.register(Pad)
def pad(op: Pad, _: Mapping[Value, Array]) -> Kernel:
    """Return the kernel of a padding with one value, rounded as any result is."""
    element = op.input.type.element
    grid = Grid(element, 0)
    value = grid.encode(np.full((1,), op.value / float(grid.unit)))[0]
    assert quantization_of(element) is not None or value == op.value
    return padder(op.padding, value)


@RULES.register(MirrorPad)
def mirror_pad(op: MirrorPad, _: Mapping[Value, Array]) -> Kernel:
    """Return the kernel of a padding with the input's own elements."""
    takers = [
        taker(axis, op.indices(axis)) for axis in range(op.input.type.rank) if any(op.padding[2 * axis : 2 * axis + 2])
    ]

    def kernel(array: Array) -> Array:
        for take_along in takers:
            array = take_along(array)
        return array

    return kernel


@RULES.register(Concat)
def concat(op: Concat, _: Mapping[Value, Array]) -> Kernel:
    """Return the kernel that puts arrays one behind the other."""
    grid = Grid(op.element, op.inputs[0].type.rank)

    def kernel(*arrays: Array) -> Array:
        units = [grid.units_of(array, value.type) for array, value in zip(arrays, op.inputs, strict=True)]
        return grid.encode(np.concatenate(units, axis=op.axis))

    return kernel


@RULES.register(ResizeNearest)
def resize_nearest(op: ResizeNearest, _: Mapping[Value, Array]) -> Kernel:
    """Return the kernel of a change of size that repeats and drops pixels."""
    grid = Grid(op.element, 4)
    rows, columns = np.asarray(op.indices(0)), np.asarray(op.indices(1))

    def kernel(images: Array) -> Array:
        return grid.encode(grid.units_of(images[:, rows][:, :, columns], op.input.type))

    return kernel
