"""Additions."""

from __future__ import annotations

from mrqc.backends.c.binding import Binding, Scaling
from mrqc.backends.c.calls import C_RULES, Facts, KernelCall, Number, Tensor
from mrqc.backends.c.requantize import INT32_MAXIMUM, choose_scaling, scale_arguments
from mrqc.ir import Statement
from mrqc.ops.int import Add


@C_RULES.register(Add)
def add(statement: Statement, facts: Facts) -> KernelCall:
    """Return the call of an addition, in 64 bits where two 16-bit operands need them."""
    op = statement.op
    assert isinstance(op, Add)
    magnitude = facts.bounds[statement.result].magnitude
    is_wide = magnitude > INT32_MAXIMUM
    scaling = Scaling.WIDE_MULTIPLIER if is_wide else choose_scaling(op.requantize, magnitude)
    binding = Binding(
        input=op.lhs.type.dtype,
        other=op.rhs.type.dtype,
        output=op.element.dtype,
        scaling=scaling,
        rounding=op.requantize.rounding,
        accumulator_bits=64 if is_wide else 32,
    )
    arguments = (
        Tensor(op.lhs),
        Number(op.lhs_multiplier),
        Tensor(op.rhs),
        Number(op.rhs_multiplier),
        Number(statement.result.type.size),
        *scale_arguments(op.requantize, scaling),
        Tensor(statement.result),
    )
    return KernelCall("add.c", binding, arguments)
