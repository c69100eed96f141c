"""Changes of the size of an image."""

from __future__ import annotations

import numpy as np

from mrqc.backends.c.binding import Binding
from mrqc.backends.c.calls import C_RULES, Facts, KernelCall, Table, Tensor, struct_record
from mrqc.ir import Data, Statement
from mrqc.ops.int import Interpolation, ResizeBilinear


@C_RULES.register(ResizeBilinear)
def resize_bilinear(statement: Statement, facts: Facts) -> KernelCall:
    """Return the call of an interpolation."""
    del facts
    op = statement.op
    assert isinstance(op, ResizeBilinear)
    batch, height, width, channels = op.input.type.shape
    fields = (
        ("batch", batch),
        ("input_height", height),
        ("input_width", width),
        ("channels", channels),
        ("output_height", len(op.rows.lower)),
        ("output_width", len(op.columns.lower)),
        ("bits", op.bits),
    )
    arguments = (
        Tensor(op.input),
        _table("rows", op.rows),
        _table("columns", op.columns),
        struct_record("shape", "resize_shape", fields),
        Tensor(statement.result),
    )
    dtype = op.input.type.dtype
    return KernelCall("resize_bilinear.c", Binding(input=dtype, output=dtype, rounding=op.rounding), arguments)


def _table(role: str, between: Interpolation) -> Table:
    rows = list(zip(between.lower, between.upper, between.weight, strict=True))
    return Table(role, Data(np.array(rows, np.int32)), "interpolation")
