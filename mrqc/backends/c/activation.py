"""Clamp, table and the softmaxes."""

from __future__ import annotations

from mrqc.backends.c.binding import Binding
from mrqc.backends.c.calls import C_RULES, Facts, Fields, KernelCall, Number, Table, Tensor, struct_record
from mrqc.ir import Data, Statement, Value
from mrqc.ops import int as int_ops
from mrqc.ops.int import Clamp, ReciprocalSoftmax, Softmax


@C_RULES.register(Clamp)
def clamp(statement: Statement, facts: Facts) -> KernelCall:
    """Return the call of a clamp."""
    del facts
    op = statement.op
    assert isinstance(op, Clamp)
    dtype = op.input.type.dtype
    arguments = (
        Tensor(op.input),
        Number(op.minimum),
        Number(op.maximum),
        Number(op.input.type.size),
        Tensor(statement.result),
    )
    return KernelCall("clamp.c", Binding(input=dtype, output=dtype), arguments)


@C_RULES.register(int_ops.Table)
def table(statement: Statement, facts: Facts) -> KernelCall:
    """Return the call of a table look-up."""
    op = statement.op
    assert isinstance(op, int_ops.Table)
    dtype = op.input.type.dtype
    arguments = (
        Tensor(op.input),
        Number(dtype.minimum),
        Table("entries", facts.constants[op.table]),
        Number(op.input.type.size),
        Tensor(statement.result),
    )
    return KernelCall("table.c", Binding(input=dtype, output=op.element.dtype), arguments)


@C_RULES.register(ReciprocalSoftmax)
def reciprocal_softmax(statement: Statement, facts: Facts) -> KernelCall:
    """Return the call of a softmax by reciprocal."""
    op = statement.op
    assert isinstance(op, ReciprocalSoftmax)
    dtype = op.element.dtype
    limits = (("bits", 8 * dtype.bytes), ("least", dtype.minimum), ("greatest", dtype.maximum))
    arguments = (
        Tensor(op.input),
        Table("table", facts.constants[op.table]),
        struct_record("shape", "reciprocal_softmax_shape", (*_rows(op.input), *limits)),
        Tensor(statement.result),
    )
    return KernelCall("reciprocal_softmax.c", Binding(input=op.input.type.dtype, output=dtype), arguments)


@C_RULES.register(int_ops.LogSoftmax)
def log_softmax(statement: Statement, facts: Facts) -> KernelCall:
    """Return the call of a logarithm of a softmax."""
    op = statement.op
    assert isinstance(op, int_ops.LogSoftmax)
    fields = (("radius", op.radius), ("multiplier", op.multiplier), ("shift", op.shift))
    limits = (("least", op.element.dtype.minimum), ("greatest", op.element.dtype.maximum))
    arguments = (
        Tensor(op.input),
        Table("differences", facts.constants[op.differences]),
        Table("exponentials", facts.constants[op.exponentials]),
        struct_record("shape", "log_softmax_shape", (*_rows(op.input), *fields, *limits)),
        Tensor(statement.result),
    )
    binding = Binding(input=op.input.type.dtype, output=op.element.dtype, rounding=op.rounding)
    return KernelCall("log_softmax.c", binding, arguments)


@C_RULES.register(int_ops.InterpolatedSoftmax)
def interpolated_softmax(statement: Statement, facts: Facts) -> KernelCall:
    """Return the call of a softmax of 16-bit codes."""
    op = statement.op
    assert isinstance(op, int_ops.InterpolatedSoftmax)
    fields = (("multiplier", op.multiplier), ("shift", op.shift))
    arguments = (
        Tensor(op.input),
        Table("exponentials", facts.constants[op.exponentials]),
        Table("reciprocals", facts.constants[op.reciprocals]),
        struct_record("shape", "interpolated_softmax_shape", (*_rows(op.input), *fields)),
        Tensor(statement.result),
    )
    binding = Binding(input=op.input.type.dtype, output=op.element.dtype, rounding=op.rounding)
    return KernelCall("interpolated_softmax.c", binding, arguments)


def _rows(value: Value) -> Fields:
    """Return the number of rows and their length."""
    depth = value.type.shape[-1]
    return (("rows", value.type.size // depth), ("depth", depth))


@C_RULES.register(Softmax)
def softmax(statement: Statement, facts: Facts) -> KernelCall:
    """Return the call of a softmax, in 64 bits only if its table needs them."""
    op = statement.op
    assert isinstance(op, Softmax)
    table = facts.constants[op.table]
    fits = greatest_softmax_term(op, table) < 1 << 32
    depth = op.input.type.shape[-1] if op.input.type.shape else 1
    shape = (("rows", op.input.type.size // depth), ("depth", depth), ("one", op.one))
    limits = (("zero_point", op.zero_point), ("minimum", op.minimum), ("maximum", op.maximum))
    arguments = (
        Tensor(op.input),
        Table("table", table),
        struct_record("shape", "softmax_shape", shape),
        struct_record("range", "code_range", limits),
        Tensor(statement.result),
    )
    binding = Binding(input=op.input.type.dtype, output=op.element.dtype, sum_bits=32 if fits else 64)
    return KernelCall("softmax.c", binding, arguments)


def greatest_softmax_term(op: Softmax, table: Data) -> int:
    """Return a bound of every sum and product of a softmax."""
    depth = op.input.type.shape[-1] if op.input.type.shape else 1
    greatest = int(table.array.max())
    # Sums of exponentials reach depth * greatest; numerators one exponential times one, and half a sum.
    return max(depth * greatest, greatest * op.one + depth * greatest // 2)
