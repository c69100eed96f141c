"""Element by element."""

from __future__ import annotations

from dataclasses import replace

from mrqc.backends.c.binding import Binding, Scaling
from mrqc.backends.c.broadcast import broadcast_record
from mrqc.backends.c.calls import C_RULES, Facts, KernelCall, Number, Record, Tensor, struct_record
from mrqc.backends.c.requantize import INT32_MAXIMUM, choose_scaling, scale_arguments
from mrqc.ir import Statement
from mrqc.ops.int import Add, Maximum, Minimum, Mul, OperandScaling, Prelu, Requantize, RescaledAdd
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


@C_RULES.register(Mul)
def mul(statement: Statement, facts: Facts) -> KernelCall:
    """Return the call of a product."""
    op = statement.op
    assert isinstance(op, Mul)
    binding = _binding(op, op.requantize, facts.bounds[statement.result].magnitude)
    arguments = (
        Tensor(op.lhs),
        Number(op.lhs_zero_point),
        Tensor(op.rhs),
        Number(op.rhs_zero_point),
        broadcast_record(op.lhs, op.rhs),
        *scale_arguments(op.requantize, binding.scaling),
        Tensor(statement.result),
    )
    return KernelCall("mul.c", binding, arguments)


@C_RULES.register(Maximum, Minimum)
def extremum(statement: Statement, facts: Facts) -> KernelCall:
    """Return the call of the greater or the lesser code."""
    del facts
    op = statement.op
    assert isinstance(op, Maximum | Minimum)
    dtype = op.lhs.type.dtype
    kernel = "maximum.c" if isinstance(op, Maximum) else "minimum.c"
    arguments = (Tensor(op.lhs), Tensor(op.rhs), broadcast_record(op.lhs, op.rhs), Tensor(statement.result))
    return KernelCall(kernel, Binding(input=dtype, output=dtype), arguments)


@C_RULES.register(Prelu)
def prelu(statement: Statement, facts: Facts) -> KernelCall:
    """Return the call of a PReLU, in 64 bits."""
    del facts
    op = statement.op
    assert isinstance(op, Prelu)
    positive, code_range = scale_arguments(op.positive, Scaling.WIDE_MULTIPLIER)
    negative, _ = scale_arguments(op.requantize, Scaling.WIDE_MULTIPLIER)
    assert isinstance(positive, Record)
    assert isinstance(negative, Record)
    arguments = (
        Tensor(op.input),
        Number(op.input_zero_point),
        Tensor(op.slope),
        Number(op.slope_zero_point),
        broadcast_record(op.input, op.slope),
        replace(positive, name="positive"),
        replace(negative, name="negative"),
        code_range,
        Tensor(statement.result),
    )
    binding = Binding(
        input=op.input.type.dtype,
        other=op.slope.type.dtype,
        output=op.element.dtype,
        rounding=op.requantize.rounding,
    )
    return KernelCall("prelu.c", binding, arguments)


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
