"""How the kernels of binary ops walk over operands that are stretched over each other."""

from __future__ import annotations

import math

from mrqc.backends.c.calls import Record, struct_record
from mrqc.ir import Value
from mrqc.ops.broadcast import result_shape

BROADCAST_RANK = 6
"""The kernel's loops; axes that stay together count as one, and axes of extent 1 not at all."""


def broadcast_record(lhs: Value, rhs: Value) -> Record:
    """Return the shape that a kernel walks over, neighbouring axes merged."""
    axes = broadcast_axes(lhs, rhs)
    missing = BROADCAST_RANK - len(axes)
    extents, lhs_strides, rhs_strides = zip(*((1, 0, 0),) * missing, *axes, strict=True)
    fields = (("extent", extents), ("lhs_stride", lhs_strides), ("rhs_stride", rhs_strides))
    return struct_record("shape", "broadcast_shape", fields)


def broadcast_axes(lhs: Value, rhs: Value) -> list[tuple[int, int, int]]:
    """Return extent and both strides of each axis of the result, neighbours that stay together merged."""
    shape = result_shape(lhs, rhs)
    lhs_strides, rhs_strides = (_strides(value, len(shape)) for value in (lhs, rhs))
    merged: list[tuple[int, int, int]] = []
    for extent, lhs_stride, rhs_stride in zip(shape, lhs_strides, rhs_strides, strict=True):
        if extent == 1:
            continue
        if merged and merged[-1][1:] == (extent * lhs_stride, extent * rhs_stride):
            merged[-1] = (merged[-1][0] * extent, lhs_stride, rhs_stride)
        else:
            merged.append((extent, lhs_stride, rhs_stride))
    return merged


def _strides(value: Value, rank: int) -> tuple[int, ...]:
    """Return how far apart the elements along each axis of the result stand in an operand; 0 where it is repeated."""
    shape = value.type.shape
    strides = [math.prod(shape[axis + 1 :]) if extent > 1 else 0 for axis, extent in enumerate(shape)]
    return (0,) * (rank - len(shape)) + tuple(strides)
