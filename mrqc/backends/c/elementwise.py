"""Additions."""

from __future__ import annotations

from dataclasses import replace

from mrqc.backends.c.binding import Binding, Scaling
from mrqc.backends.c.broadcast import broadcast_record
from mrqc.backends.c.calls import C_RULES, Facts, KernelCall, Number, Record, Tensor, struct_record
from mrqc.backends.c.requantize import INT32_MAXIMUM, choose_scaling, scale_arguments
from mrqc.ir import Statement
from mrqc.ops.int import Add, OperandScaling, Requantize, RescaledAdd
from mrqc.ops.int.elementwise import BinaryBase


@C_RULES.register(Add)
def add(statement: Statement, facts: Facts) -> KernelCall:
    """Return the call of an addition, in 64 bits where two 16-bit operands need them."""
    op = statement.op
    assert isinstance(op, Add)
    binding = _binding(op, op.requantize, facts.bounds[statement.result].magnitude)
    same_shape = op.lhs.type.shape == op.rhs.type.shape
    arguments = (
        Tensor(op.lhs),
        Number(op.lhs_multiplier),
        Tensor(op.rhs),
        Number(op.rhs_multiplier),
        Number(statement.result.type.size) if same_shape else broadcast_record(op.lhs, op.rhs),
        *scale_arguments(op.requantize, binding.scaling),
        Tensor(statement.result),
    )
    return KernelCall("add.c" if same_shape else "add_broadcast.c", binding, arguments)


@C_RULES.register(RescaledAdd)
def rescaled_add(statement: Statement, facts: Facts) -> KernelCall:
    """Return the call of an addition of operands that are rounded onto a grid of their own first."""
    op = statement.op
    assert isinstance(op, RescaledAdd)
    binding = _binding(op, op.requantize, facts.bounds[statement.result].magnitude)
    arguments = (
        Tensor(op.lhs),
        _scaling_record("lhs_scaling", op.lhs_scaling),
        Tensor(op.rhs),
        _scaling_record("rhs_scaling", op.rhs_scaling),
        broadcast_record(op.lhs, op.rhs),
        *scale_arguments(op.requantize, binding.scaling),
        Tensor(statement.result),
    )
    return KernelCall("rescaled_add.c", binding, arguments)


def _binding(op: BinaryBase, requantize: Requantize, magnitude: int) -> Binding:
    """Return the slots of a binary op that requantizes accumulators of at most ``magnitude``."""
    (type_,) = op.infer()
    binding = Binding(
        input=op.lhs.type.dtype, other=op.rhs.type.dtype, output=type_.dtype, rounding=requantize.rounding
    )
    if magnitude > INT32_MAXIMUM:
        return replace(binding, scaling=Scaling.WIDE_MULTIPLIER, accumulator_bits=64)
    return replace(binding, scaling=choose_scaling(requantize, magnitude))


def _scaling_record(name: str, scaling: OperandScaling) -> Record:
    fields = (
        ("zero_point", scaling.zero_point),
        ("one", 1 << scaling.left_shift),
        ("multiplier", scaling.multiplier),
        ("shift", scaling.shift),
    )
    return struct_record(name, "operand_scaling", fields)
