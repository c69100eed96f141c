"""From one quantization to another."""

from __future__ import annotations

import math

import numpy as np

from mrqc.backends.c.binding import Binding
from mrqc.backends.c.calls import C_RULES, Argument, Facts, KernelCall, Number, Table, Tensor, struct_record
from mrqc.backends.c.requantize import choose_scaling, code_range, scale_arguments
from mrqc.ir import Data, Statement
from mrqc.ops.int import DoubleRescale, Rescale


@C_RULES.register(Rescale)
def rescale(statement: Statement, facts: Facts) -> KernelCall:
    """Return the call of a rescale."""
    op = statement.op
    assert isinstance(op, Rescale)
    scaling = choose_scaling(op.requantize, facts.bounds[statement.result].magnitude)
    binding = Binding(
        input=op.input.type.dtype,
        output=op.element.dtype,
        scaling=scaling,
        rounding=op.requantize.rounding,
    )
    arguments = (
        Tensor(op.input),
        Number(op.input_zero_point),
        Number(op.input.type.size),
        *scale_arguments(op.requantize, scaling),
        Tensor(statement.result),
    )
    return KernelCall("rescale.c", binding, arguments)


@C_RULES.register(DoubleRescale)
def double_rescale(statement: Statement, facts: Facts) -> KernelCall:
    """Return the call of a rescale in double precision, with each scale as an integer of 53 bits and a shift."""
    del facts
    op = statement.op
    assert isinstance(op, DoubleRescale)
    rows = [_double_scale(scale) for scale in op.scales]
    names = ("high", "low", "shift")
    scales: Argument = (
        Table("scales", Data(np.array(rows, np.int32)), "double_scale")
        if len(rows) > 1
        else struct_record("scale", "double_scale", tuple(zip(names, rows[0], strict=True)))
    )
    arguments = (
        Tensor(op.input),
        Number(op.input.type.size // len(rows)),
        Number(len(rows)),
        scales,
        code_range(op.zero_point, op.minimum, op.maximum),
        Tensor(statement.result),
    )
    return KernelCall("double_rescale.c", Binding(input=op.input.type.dtype, output=op.element.dtype), arguments)


def _double_scale(scale: float) -> tuple[int, int, int]:
    """Return the significand of a double, 53 bits in two parts, and the right shift that belongs to it."""
    fraction, exponent = math.frexp(scale)
    significand = int(math.ldexp(fraction, 53))
    return significand >> 31, significand & ((1 << 31) - 1), 53 - exponent
