"""Average, mean and max pools."""

from __future__ import annotations

from mrqc.backends.c.binding import Binding
from mrqc.backends.c.calls import C_RULES, Facts, KernelCall, Number, Record, Tensor, struct_record
from mrqc.backends.c.requantize import choose_scaling, scale_arguments
from mrqc.ir import Statement
from mrqc.ops.int import AveragePool2D, MaxPool2D, MeanPool2D


@C_RULES.register(AveragePool2D)
def average_pool2d(statement: Statement, facts: Facts) -> KernelCall:
    """Return the call of an average pool."""
    op = statement.op
    assert isinstance(op, AveragePool2D)
    scaling = choose_scaling(op.requantize, facts.bounds[statement.result].magnitude)
    binding = Binding(
        input=op.input.type.dtype,
        output=op.element.dtype,
        scaling=scaling,
        rounding=op.requantize.rounding,
    )
    scales = scale_arguments(op.requantize, scaling)
    shape, zero_point = _pool2d_shape(statement, op), Number(op.input_zero_point)
    arguments = (Tensor(op.input), zero_point, shape, *scales, Tensor(statement.result))
    return KernelCall("average_pool2d.c", binding, arguments)


@C_RULES.register(MeanPool2D)
def mean_pool2d(statement: Statement, facts: Facts) -> KernelCall:
    """Return the call of a mean pool."""
    del facts
    op = statement.op
    assert isinstance(op, MeanPool2D)
    dtype = op.input.type.dtype
    limits = (Number(op.minimum), Number(op.maximum))
    arguments = (Tensor(op.input), _pool2d_shape(statement, op), *limits, Tensor(statement.result))
    return KernelCall("mean_pool2d.c", Binding(input=dtype, output=dtype), arguments)


@C_RULES.register(MaxPool2D)
def max_pool2d(statement: Statement, facts: Facts) -> KernelCall:
    """Return the call of a max pool."""
    del facts
    op = statement.op
    assert isinstance(op, MaxPool2D)
    dtype = op.input.type.dtype
    arguments = (Tensor(op.input), _pool2d_shape(statement, op), Tensor(statement.result))
    return KernelCall("max_pool2d.c", Binding(input=dtype, output=dtype), arguments)


def _pool2d_shape(statement: Statement, op: AveragePool2D | MeanPool2D | MaxPool2D) -> Record:
    batch, input_height, input_width, channels = op.input.type.shape
    _, output_height, output_width, _ = statement.result.type.shape
    fields = (
        ("batch", batch),
        ("input_height", input_height),
        ("input_width", input_width),
        ("channels", channels),
        ("output_height", output_height),
        ("output_width", output_width),
        ("kernel_height", op.kernel[0]),
        ("kernel_width", op.kernel[1]),
        ("stride_height", op.strides[0]),
        ("stride_width", op.strides[1]),
        ("padding_top", op.padding[0]),
        ("padding_left", op.padding[1]),
    )
    return struct_record("shape", "pool2d_shape", fields)
