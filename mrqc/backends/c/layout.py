"""Reshapes and relabellings, which need no code, and transposes."""

from __future__ import annotations

import math

from mrqc.analysis.liveness import keeps_order
from mrqc.backends.c.binding import Binding
from mrqc.backends.c.calls import C_RULES, Facts, KernelCall, Tensor, struct_record
from mrqc.ir import Statement
from mrqc.ops.int import Relabel, Reshape, Transpose

TRANSPOSE_RANK = 8
"""The kernel's loops; axes that stay together count as one, and axes of extent 1 not at all."""


@C_RULES.register(Reshape, Relabel)
def same_memory(statement: Statement, facts: Facts) -> None:
    """Return no call: the result is seen through the operand's memory."""
    del statement, facts


@C_RULES.register(Transpose)
def transpose(statement: Statement, facts: Facts) -> KernelCall | None:
    """Return the call of a transpose, or None where no element changes its place."""
    del facts
    op = statement.op
    assert isinstance(op, Transpose)
    if keeps_order(op):
        return None
    axes = merged_axes(op)
    missing = TRANSPOSE_RANK - len(axes)
    extents = (1,) * missing + tuple(extent for extent, _ in axes)
    strides = (0,) * missing + tuple(stride for _, stride in axes)
    dtype = op.input.type.dtype
    shape = struct_record("shape", "transpose_shape", (("extent", extents), ("stride", strides)))
    arguments = (Tensor(op.input), shape, Tensor(statement.result))
    return KernelCall("transpose.c", Binding(input=dtype, output=dtype), arguments)


def merged_axes(op: Transpose) -> list[tuple[int, int]]:
    """Return extent and input stride of each axis of the result, neighbours that stay together merged."""
    shape = op.input.type.shape
    strides = [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
    merged: list[tuple[int, int]] = []
    for axis in op.permutation:
        extent, stride = shape[axis], strides[axis]
        if extent == 1:
            continue
        if merged and merged[-1][1] == extent * stride:
            merged[-1] = (merged[-1][0] * extent, stride)
        else:
            merged.append((extent, stride))
    return merged
