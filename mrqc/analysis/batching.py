"""Whether a module treats the images of a batch one by one."""

from __future__ import annotations

from collections.abc import Container, Iterator

from mrqc.ir import Module, Op, Value
from mrqc.ops import int as int_ops
from mrqc.ops import nn
from mrqc.ops.broadcast import result_shape
from mrqc.ops.contraction import Conv2DBase, FullyConnectedBase, TransposeConv2DBase
from mrqc.ops.extremum import ArgMaxBase
from mrqc.ops.int import elementwise as int_elementwise
from mrqc.ops.nn import elementwise as nn_elementwise
from mrqc.ops.structure import ReshapeBase, SliceBase, TakeBase, TransposeBase


def is_batchwise(module: Module, stationary: Container[Value] = frozenset()) -> bool:
    """Return whether axis 0 of every value is a batch axis, so that many batches can run as one larger batch.

    Args:
        module: A module of either dialect.
        stationary: The values that depend on no input.

    Returns:
        True only where it is certain: every input has the same leading extent, no reshape, transpose, softmax
        or scale reaches across the images, and weights depend on no input. An op that is not known here
        answers False.
    """
    extents = {value.type.shape[:1] for value in module.graph.inputs}
    if len(extents) != 1 or extents == {()}:
        return False
    moving = [value for value in module.graph.values() if value not in stationary]
    if any(value.type.quantization is not None and value.type.quantization.axis == 0 for value in moving):
        return False
    return all(
        _keeps_images_apart(statement.op, stationary)
        for statement in module.graph.statements
        if any(operand not in stationary for operand in statement.op.operands)
    )


def _keeps_images_apart(op: Op, stationary: Container[Value]) -> bool:
    match op:
        case Conv2DBase() | TransposeConv2DBase() | FullyConnectedBase():
            return op.weight in stationary and (op.bias is None or op.bias in stationary)
        case nn_elementwise.BinaryBase() | int_elementwise.BinaryBase():
            return all(_keeps_its_batch(op.lhs, op.rhs, stationary))
        case nn.Prelu() | int_ops.Prelu():
            return all(_keeps_its_batch(op.input, op.slope, stationary))
        case _:
            return _works_along_rows(op, stationary)


def _works_along_rows(op: Op, stationary: Container[Value]) -> bool:
    """Return whether an op treats elements or rows one by one, with tables that depend on no input."""
    tables_stand = all(operand in stationary for operand in op.operands[1:])
    match op:
        case nn.Softmax() | nn.LogSoftmax() | int_ops.LogSoftmax() | int_ops.InterpolatedSoftmax():
            return op.input.type.rank > 1 and tables_stand
        case int_ops.Softmax() | int_ops.ReciprocalSoftmax() | int_ops.FloatSoftmax():
            return op.input.type.rank > 1 and tables_stand
        case int_ops.DoubleRescale() | int_ops.FloatRescale():
            # The scales go along the last axis, which must not be the one that batches are stacked on.
            return op.input.type.rank > 1 or len(op.scales) == 1
        case nn.Relabel():
            return op.input.type.rank > 1 or len(op.factors) == 1
        case nn.BatchNormalization():
            return tables_stand
        case int_ops.Table() | int_ops.FloatAveragePool2D() | int_ops.TableResizeBilinear() | int_ops.FloatMean2D():
            return tables_stand
        case int_ops.PairTable():
            return op.table in stationary and all(_keeps_its_batch(op.lhs, op.rhs, stationary))
        case nn.Concat() | int_ops.Concat():
            return op.axis != 0 and not any(value in stationary for value in op.inputs)
        case _:
            return isinstance(op, _POINTWISE_OR_POOL) or _works_behind_the_batch(op)


def _works_behind_the_batch(op: Op) -> bool:
    """Return whether an op of one operand moves or reduces elements along other axes than the leading one alone."""
    match op:
        case ReshapeBase():
            return op.shape[:1] == op.input.type.shape[:1]
        case TransposeBase():
            return op.permutation[:1] == (0,)
        case nn.Mean() | nn.Sum() | int_ops.Sum():
            return 0 not in op.axes
        case ArgMaxBase() | TakeBase():
            return op.axis != 0
        case SliceBase():
            return op.input.type.rank > 0 and op.is_whole(0)
        case nn.Pad() | nn.MirrorPad() | int_ops.Pad():
            return op.padding[:2] == (0, 0)
        case _:
            return False


def _keeps_its_batch(lhs: Value, rhs: Value, stationary: Container[Value]) -> Iterator[bool]:
    """Yield for each operand whether its images meet those of the result when more of them are stacked."""
    shape = result_shape(lhs, rhs)
    for operand in (lhs, rhs):
        has_batch = operand.type.rank == len(shape)
        if operand in stationary:
            # One image is stretched over a batch by numpy's own rule.
            yield not has_batch or operand.type.shape[0] == 1
        else:
            yield has_batch and operand.type.shape[0] == shape[0]


_POINTWISE_OR_POOL: tuple[type[Op], ...] = (
    nn.AveragePool2D,
    nn.MaxPool2D,
    nn.ResizeBilinear,
    nn.ResizeNearest,
    nn.Clip,
    nn.LeakyRelu,
    nn.Elu,
    nn.Sigmoid,
    nn.Tanh,
    nn.HardSwish,
    nn.HardSigmoid,
    nn.Gelu,
    nn.Abs,
    nn.Exp,
    nn.Log,
    nn.Sqrt,
    nn.Rsqrt,
    nn.Quantize,
    nn.Dequantize,
    int_ops.AveragePool2D,
    int_ops.MeanPool2D,
    int_ops.MaxPool2D,
    int_ops.ResizeBilinear,
    int_ops.FloatResizeBilinear,
    int_ops.Clamp,
    int_ops.Rescale,
    int_ops.Relabel,
)
