"""From one quantization to another."""

from __future__ import annotations

from mrqc.backends.c.binding import Binding
from mrqc.backends.c.calls import C_RULES, Facts, KernelCall, Number, Tensor
from mrqc.backends.c.requantize import choose_scaling, scale_arguments
from mrqc.ir import Statement
from mrqc.ops.int import Rescale


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
