"""Sums and searches along axes."""

from __future__ import annotations

import math
from collections.abc import Iterator

from mrqc.backends.c.binding import Binding
from mrqc.backends.c.calls import C_RULES, Facts, KernelCall, Number, Tensor, struct_record
from mrqc.backends.c.requantize import choose_scaling, scale_arguments
from mrqc.ir import Statement
from mrqc.ops.int import ArgMax, Sum

REDUCTION_RANK = 4
"""The kernel's loops over axes that stay, and over axes that go; neighbours of one kind count as one axis."""

Axes = tuple[tuple[int, int], ...]
"""Extent and stride of each."""


@C_RULES.register(Sum)
def reduce_sum(statement: Statement, facts: Facts) -> KernelCall:
    """Return the call of a sum along axes."""
    op = statement.op
    assert isinstance(op, Sum)
    scaling = choose_scaling(op.requantize, facts.bounds[statement.result].magnitude)
    binding = Binding(
        input=op.input.type.dtype,
        output=op.element.dtype,
        scaling=scaling,
        rounding=op.requantize.rounding,
    )
    kept, reduced = kept_and_reduced(op.input.type.shape, op.axes)
    fields = (*_loops("kept", kept), *_loops("reduced", reduced))
    arguments = (
        Tensor(op.input),
        Number(op.input_zero_point),
        struct_record("shape", "reduction_shape", fields),
        *scale_arguments(op.requantize, scaling),
        Tensor(statement.result),
    )
    return KernelCall("reduce_sum.c", binding, arguments)


def kept_and_reduced(shape: tuple[int, ...], axes: tuple[int, ...]) -> tuple[Axes, Axes]:
    """Return extent and stride of the axes that stay and of those that go, neighbours of one kind merged."""
    found: dict[bool, list[tuple[int, int]]] = {False: [], True: []}
    last: bool | None = None
    for axis, extent in enumerate(shape):
        if extent == 1:
            continue
        is_reduced = axis in axes
        stride = math.prod(shape[axis + 1 :])
        if last is is_reduced:
            before, _ = found[is_reduced].pop()
            extent *= before
        found[is_reduced].append((extent, stride))
        last = is_reduced
    return tuple(found[False]), tuple(found[True])


def _loops(name: str, axes: Axes) -> Iterator[tuple[str, tuple[int, ...]]]:
    missing = REDUCTION_RANK - len(axes)
    yield f"{name}_extent", (1,) * missing + tuple(extent for extent, _ in axes)
    yield f"{name}_stride", (0,) * missing + tuple(stride for _, stride in axes)


@C_RULES.register(ArgMax)
def arg_max(statement: Statement, facts: Facts) -> KernelCall:
    """Return the call that finds the first of the greatest, or least, codes."""
    del facts
    op = statement.op
    assert isinstance(op, ArgMax)
    shape = op.input.type.shape
    fields = (
        ("outer", math.prod(shape[: op.axis])),
        ("extent", shape[op.axis]),
        ("inner", math.prod(shape[op.axis + 1 :])),
        ("sign", -1 if op.smallest else 1),
    )
    arguments = (Tensor(op.input), struct_record("shape", "arg_max_shape", fields), Tensor(statement.result))
    return KernelCall("arg_max.c", Binding(input=op.input.type.dtype, output=op.element.dtype), arguments)
