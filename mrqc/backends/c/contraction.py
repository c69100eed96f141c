"""Convolutions and fully connected layers: which kernel, and weights in the order that it reads."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mrqc.backends.c.binding import Binding
from mrqc.backends.c.calls import C_RULES, Argument, Facts, KernelCall, Null, Record, Table, Tensor, struct_record
from mrqc.backends.c.requantize import INT32_MAXIMUM, choose_scaling, scale_arguments
from mrqc.ir import Data, DType, Statement, Value
from mrqc.ops.int import BatchMatMul, Conv2D, FullyConnected, TransposeConv2D

SHALLOW_RUN = 32
"""Dot products shorter than this are slower than one input element times all filters (benchmarks/c_kernels.py)."""

SHALLOW_OUTPUTS = 8
"""With fewer filters than this there is nothing to gain from taking all of them at once."""


@C_RULES.register(FullyConnected)
def fully_connected(statement: Statement, facts: Facts) -> KernelCall:
    """Return the call of a fully connected layer."""
    op = statement.op
    assert isinstance(op, FullyConnected)
    weights = flash_weights(op, facts.constants[op.weight])
    rows, depth = op.input.type.shape
    return _contraction(statement, op, facts, "pointwise.c", weights, _matrix(rows, depth, op, weights))


@C_RULES.register(Conv2D)
def conv2d(statement: Statement, facts: Facts) -> KernelCall:
    """Return the call of a convolution."""
    op = statement.op
    assert isinstance(op, Conv2D)
    weights = flash_weights(op, facts.constants[op.weight])
    if is_shallow(op):
        side_by_side = weights.transposed((1, 2, 3, 0))
        return _contraction(statement, op, facts, "conv2d_shallow.c", side_by_side, _conv2d_shape(op, weights))
    if is_matrix_product(op):
        depth = weights.codes[0].size
        shape = _matrix(op.input.type.size // depth, depth, op, weights)
        return _contraction(statement, op, facts, "pointwise.c", weights, shape)
    if op.groups > 1 and op.groups == op.input.type.shape[3] == op.weight.type.shape[0]:
        side_by_side = weights.transposed((3, 1, 2, 0))
        return _contraction(statement, op, facts, "conv2d_depthwise.c", side_by_side, _conv2d_shape(op, weights))
    return _contraction(statement, op, facts, "conv2d.c", weights, _conv2d_shape(op, weights))


@C_RULES.register(TransposeConv2D)
def transpose_conv2d(statement: Statement, facts: Facts) -> KernelCall:
    """Return the call of a transposed convolution."""
    op = statement.op
    assert isinstance(op, TransposeConv2D)
    weights = flash_weights(op, facts.constants[op.weight])
    return _contraction(statement, op, facts, "transpose_conv2d.c", weights, _conv2d_shape(op, weights))


@dataclass(frozen=True, slots=True)
class FlashWeights:
    """Weights as they stand in flash, one byte each.

    Attributes:
        codes: Signed 8-bit codes.
        zero_point: Subtracted by the kernel.
    """

    codes: NDArray[np.int8]
    zero_point: int

    def transposed(self, permutation: tuple[int, ...]) -> FlashWeights:
        """Return the same weights in another order."""
        return replace(self, codes=self.codes.transpose(permutation))


def flash_weights(op: Conv2D | TransposeConv2D | FullyConnected, weights: Data) -> FlashWeights:
    """Return weights without a zero point if they fit signed bytes that way, else with one that is the smaller."""
    codes = weights.array.astype(np.int16)
    centred = codes - np.int16(op.weight_zero_point)
    if centred.min() >= DType.I8.minimum and centred.max() <= DType.I8.maximum:
        return FlashWeights(centred.astype(np.int8), 0)
    # Unsigned codes become signed ones when both they and their zero point move down by half the range.
    down = 0 if weights.dtype is DType.I8 else 128
    return FlashWeights((codes - down).astype(np.int8), op.weight_zero_point - down)


def is_matrix_product(op: Conv2D) -> bool:
    """Return whether the windows, one after the other, are the input as it stands in memory.

    True of a 1x1 kernel with stride 1, and of a kernel as large as the image.
    """
    if op.groups > 1 or op.window.is_padded:
        return False
    _, height, width, _ = op.input.type.shape
    if op.window.kernel == (1, 1):
        return op.strides == (1, 1) or (height, width) == (1, 1)
    return op.window.kernel == (height, width) and op.window.extent == (height, width)


def is_shallow(op: Conv2D) -> bool:
    """Return whether the dot products along a row of taps are too short to be fast."""
    _, _, taps, depth = op.weight.type.shape
    run = depth * (taps if op.dilations[1] == 1 else 1)
    return op.groups == 1 and run < SHALLOW_RUN and op.weight.type.shape[0] >= SHALLOW_OUTPUTS


def _contraction(
    statement: Statement,
    op: Conv2D | TransposeConv2D | FullyConnected,
    facts: Facts,
    kernel: str,
    weights: FlashWeights,
    shape: Record,
) -> KernelCall:
    magnitude = facts.bounds[statement.result].magnitude
    scaling = choose_scaling(op.requantize, magnitude)
    accumulator = DType.I64 if magnitude > INT32_MAXIMUM else DType.I32
    binding = Binding(
        input=op.input.type.dtype,
        output=op.element.dtype,
        scaling=scaling,
        rounding=op.requantize.rounding,
        accumulator_bits=8 * accumulator.bytes,
        centre_input=op.input_zero_point != 0,
        centre_weight=weights.zero_point != 0,
    )
    arguments: tuple[Argument, ...] = (
        Tensor(op.input),
        Table("weights", Data(weights.codes)),
        _bias(op.bias, facts, accumulator),
        shape,
        *scale_arguments(op.requantize, scaling),
        Tensor(statement.result),
    )
    return KernelCall(kernel, binding, arguments)


def _bias(bias: Value | None, facts: Facts, accumulator: DType) -> Argument:
    """Return the biases as wide as the accumulators that they are the start of."""
    return Null() if bias is None else Table("bias", Data.of(facts.constants[bias].array, accumulator))


def _matrix(rows: int, depth: int, op: Conv2D | FullyConnected, weights: FlashWeights) -> Record:
    fields = (
        ("rows", rows),
        ("depth", depth),
        ("outputs", op.weight.type.shape[0]),
        ("input_zero_point", op.input_zero_point),
        ("weight_zero_point", weights.zero_point),
    )
    return struct_record("shape", "pointwise_shape", fields)


def _conv2d_shape(op: Conv2D | TransposeConv2D, weights: FlashWeights) -> Record:
    batch, input_height, input_width, input_channels = op.input.type.shape
    _, output_height, output_width, output_channels = op.output_shape
    _, kernel_height, kernel_width, _ = op.weight.type.shape
    fields = (
        ("batch", batch),
        ("input_height", input_height),
        ("input_width", input_width),
        ("input_channels", input_channels),
        ("output_height", output_height),
        ("output_width", output_width),
        ("output_channels", output_channels),
        ("kernel_height", kernel_height),
        ("kernel_width", kernel_width),
        ("stride_height", op.strides[0]),
        ("stride_width", op.strides[1]),
        ("padding_top", op.padding[0]),
        ("padding_left", op.padding[1]),
        ("dilation_height", op.dilations[0]),
        ("dilation_width", op.dilations[1]),
        ("groups", op.groups),
        ("input_zero_point", op.input_zero_point),
        ("weight_zero_point", weights.zero_point),
    )
    return struct_record("shape", "conv2d_shape", fields)


BATCH_AXES = 4
"""Leading axes of matrix products that the kernel can walk."""


@C_RULES.register(BatchMatMul)
def batch_matmul(statement: Statement, facts: Facts) -> KernelCall:
    """Return the call of matrix products."""
    op = statement.op
    assert isinstance(op, BatchMatMul)
    magnitude = facts.bounds[statement.result].magnitude
    scaling = choose_scaling(op.requantize, magnitude)
    binding = Binding(
        input=op.lhs.type.dtype,
        other=op.rhs.type.dtype,
        output=op.element.dtype,
        scaling=scaling,
        rounding=op.requantize.rounding,
        accumulator_bits=64 if magnitude > INT32_MAXIMUM else 32,
    )
    (rows, depth), (_, columns) = op.matrices
    fields = (
        ("depth", depth),
        ("columns", columns),
        ("lhs_stride", rows if op.adjoint_lhs else 1),
        ("rhs_stride", 1 if op.adjoint_rhs else columns),
        ("column_stride", depth if op.adjoint_rhs else 1),
        ("lhs_zero_point", op.lhs_zero_point),
        ("rhs_zero_point", op.rhs_zero_point),
    )
    arguments = (
        Tensor(op.lhs),
        Tensor(op.rhs),
        _rows_record(op),
        struct_record("shape", "batch_matmul_shape", fields),
        *scale_arguments(op.requantize, scaling),
        Tensor(statement.result),
    )
    return KernelCall("batch_matmul.c", binding, arguments)


def _rows_record(op: BatchMatMul) -> Record:
    """Return where each row of the result finds its row and its matrix; the last axis is not walked."""
    batch = op.output_shape[:-2]
    (rows, depth), _ = op.matrices
    missing = (1,) * (BATCH_AXES - len(batch))
    fields = (
        ("extent", (*missing, *batch, rows, 1)),
        ("lhs_stride", (*_batch_strides(op.lhs), 1 if op.adjoint_lhs else depth, 0)),
        ("rhs_stride", (*_batch_strides(op.rhs), 0, 0)),
    )
    return struct_record("rows", "broadcast_shape", fields)


def _batch_strides(value: Value) -> tuple[int, ...]:
    """Return how far apart the matrices along each leading axis stand, 0 where there is only one."""
    strides: list[int] = []
    step = value.type.shape[-1] * value.type.shape[-2]
    for extent in reversed(value.type.shape[:-2]):
        strides.insert(0, step if extent > 1 else 0)
        step *= extent
    return (*(0,) * (BATCH_AXES - len(strides)), *strides)
