"""Pads, slices, choices and concatenations."""

from __future__ import annotations

import math

import numpy as np

from mrqc.backends.c.binding import Binding
from mrqc.backends.c.calls import C_RULES, Facts, KernelCall, Number, Table, Tensor, TensorList, struct_record
from mrqc.ir import Data, Statement, Value
from mrqc.ops.int import Concat, Pad, Slice, Take

SLICE_RANK = 8
"""The kernel's loops; axes whose elements stand at one distance throughout count as one."""

PAD_RANK = 8
"""The kernel's loops; an axis without padding counts as one with the axis before it."""


@C_RULES.register(Slice)
def slice_(statement: Statement, facts: Facts) -> KernelCall:
    """Return the call of a slice."""
    del facts
    op = statement.op
    assert isinstance(op, Slice)
    start, axes = sliced_axes(op)
    missing = SLICE_RANK - len(axes)
    fields = (
        ("start", start),
        ("extent", (1,) * missing + tuple(extent for extent, _ in axes)),
        ("stride", (0,) * missing + tuple(stride for _, stride in axes)),
    )
    arguments = (Tensor(op.input), struct_record("shape", "slice_shape", fields), Tensor(statement.result))
    return KernelCall("slice.c", _same(op.input), arguments)


@C_RULES.register(Take)
def take(statement: Statement, facts: Facts) -> KernelCall:
    """Return the call of a choice along one axis."""
    del facts
    op = statement.op
    assert isinstance(op, Take)
    shape = op.input.type.shape
    fields = (
        ("outer", math.prod(shape[: op.axis])),
        ("extent", shape[op.axis]),
        ("inner", math.prod(shape[op.axis + 1 :])),
        ("count", len(op.indices)),
    )
    arguments = (
        Tensor(op.input),
        Table("indices", Data(np.array(op.indices, np.int32))),
        struct_record("shape", "take_shape", fields),
        Tensor(statement.result),
    )
    return KernelCall("take.c", _same(op.input), arguments)


@C_RULES.register(Pad)
def pad(statement: Statement, facts: Facts) -> KernelCall:
    """Return the call of a padding."""
    del facts
    op = statement.op
    assert isinstance(op, Pad)
    axes = padded_axes(op)
    missing = PAD_RANK - len(axes)
    fields = tuple(
        (name, (filler,) * missing + tuple(axis[index] for axis in axes))
        for index, (name, filler) in enumerate((("before", 0), ("extent", 1), ("behind", 0)))
    )
    arguments = (
        Tensor(op.input),
        struct_record("shape", "pad_shape", fields),
        Number(op.code),
        Tensor(statement.result),
    )
    return KernelCall("pad.c", _same(op.input), arguments)


@C_RULES.register(Concat)
def concat(statement: Statement, facts: Facts) -> KernelCall:
    """Return the call that puts several tensors one behind the other."""
    del facts
    op = statement.op
    assert isinstance(op, Concat)
    runs = [math.prod(value.type.shape[op.axis :]) for value in op.inputs]
    arguments = (
        TensorList("inputs", op.inputs),
        Table("runs", Data(np.array(runs, np.int32))),
        Number(len(runs)),
        Number(math.prod(statement.result.type.shape[: op.axis])),
        Tensor(statement.result),
    )
    return KernelCall("concat.c", _same(statement.result), arguments)


def sliced_axes(op: Slice) -> tuple[int, list[tuple[int, int]]]:
    """Return where the first element stands, and extent and stride of each axis of the result, merged."""
    shape, start = op.input.type.shape, 0
    merged: list[tuple[int, int]] = []
    for axis, extent in enumerate(op.size):
        apart = math.prod(shape[axis + 1 :])
        start += op.begin[axis] * apart
        stride = op.strides[axis] * apart
        if extent == 1:
            continue
        if merged and merged[-1][1] == extent * stride:
            merged[-1] = (merged[-1][0] * extent, stride)
        else:
            merged.append((extent, stride))
    return start, merged


def padded_axes(op: Pad) -> list[tuple[int, int, int]]:
    """Return amount before, extent and amount behind of each axis; one without padding is merged into the last."""
    merged: list[tuple[int, int, int]] = []
    for axis, extent in enumerate(op.input.type.shape):
        before, behind = op.padding[2 * axis : 2 * axis + 2]
        if merged and before == behind == 0:
            last = merged[-1]
            merged[-1] = (last[0] * extent, last[1] * extent, last[2] * extent)
        else:
            merged.append((before, extent, behind))
    return merged


def _same(value: Value) -> Binding:
    return Binding(input=value.type.dtype, output=value.type.dtype)
