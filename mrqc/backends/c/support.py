"""What the C backend cannot express, found before anything is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mrqc.analysis.accumulators import AccumulatorBound
from mrqc.backends.c.activation import greatest_softmax_term
from mrqc.backends.c.broadcast import BROADCAST_RANK, broadcast_axes
from mrqc.backends.c.layout import TRANSPOSE_RANK, merged_axes
from mrqc.backends.c.moves import PAD_RANK, SLICE_RANK, padded_axes, sliced_axes
from mrqc.backends.c.reduction import REDUCTION_RANK, kept_and_reduced
from mrqc.backends.c.requantize import INT32_MAXIMUM, fits_64_bits
from mrqc.errors import Diagnostic
from mrqc.ir import Data, DType, Graph, Module, Op, Statement, Value
from mrqc.ops.int import (
    FLOAT32_OPS,
    INT_OPS,
    Add,
    BatchMatMul,
    Concat,
    Conv2D,
    FullyConnected,
    InterpolatedSoftmax,
    LogSoftmax,
    MeanPool2D,
    Mul,
    Pad,
    Prelu,
    ReciprocalSoftmax,
    RescaledAdd,
    Slice,
    Softmax,
    Sum,
    Table,
    Take,
    Transpose,
    TransposeConv2D,
)
from mrqc.ops.int.elementwise import BinaryBase

ELEMENT_LIMIT = 1 << 30
"""Indices into a tensor, and twice that, fit int32_t."""


def structure_problems(module: Module, constants: Mapping[Value, Data]) -> Iterator[Diagnostic]:
    """Yield what can be told from the structure alone: foreign ops, floats, sizes, operands that must be constant."""
    graph = module.graph
    for value in graph.inputs:
        yield from (Diagnostic(problem, f"input {value.name!r}") for problem in _type_problems(value))
    for statement in graph.statements:
        where = _where(statement)
        if type(statement.op) not in INT_OPS:
            yield Diagnostic(f"{statement.op.mnemonic} is not an integer op", where, "lower the module first")
            continue
        if isinstance(statement.op, FLOAT32_OPS):
            yield Diagnostic(
                f"{statement.op.mnemonic} works in single precision, as the runtime does; the C has no floating point",
                where,
                "simulate it, or lower the model for a target with integer arithmetic",
            )
            continue
        for result in statement.results:
            yield from (Diagnostic(problem, where) for problem in _type_problems(result))
        for role, operand in _needed_constants(statement):
            if operand not in constants:
                yield Diagnostic(f"the {role} must be a constant in C, found a computed value", where)
        yield from (Diagnostic(problem, where) for problem in _geometry_problems(statement.op))


def arithmetic_problems(
    graph: Graph, constants: Mapping[Value, Data], bounds: Mapping[Value, AccumulatorBound]
) -> Iterator[Diagnostic]:
    """Yield each accumulator that can overflow: C leaves undefined what would happen then."""
    for statement in graph.statements:
        op, bound = statement.op, bounds.get(statement.result)
        if isinstance(op, Softmax):
            yield from (Diagnostic(text, _where(statement)) for text in _table_problems(op, constants[op.table]))
        if bound is None or statement.result in constants:
            continue
        if isinstance(op, Add | RescaledAdd | Mul | Prelu | Conv2D | TransposeConv2D | FullyConnected | BatchMatMul):
            if not fits_64_bits(op.requantize, bound.magnitude):
                yield Diagnostic("the scaled sum does not fit 64 bits", _where(statement))
        elif bound.magnitude > INT32_MAXIMUM:
            message = f"channel {bound.channel} of the accumulator can reach {bound.magnitude} and overflow 32 bits"
            yield Diagnostic(message, _where(statement))


def _geometry_problems(op: Op) -> Iterator[str]:
    """Yield what a kernel has too few loops, too narrow elements or too narrow sums for."""
    axes, rank = _loops(op)
    if axes > rank:
        yield f"{op.mnemonic} works on {axes} axes at once, more than {rank}"
    if isinstance(op, MeanPool2D):
        codes = max(-op.input.type.dtype.minimum, op.input.type.dtype.maximum) + 1
        if op.kernel[0] * op.kernel[1] * codes > INT32_MAXIMUM:
            yield f"the sum of a window of {op.kernel[0]}x{op.kernel[1]} codes can overflow 32 bits"
    if isinstance(op, Transpose | Slice | Take | Pad | Concat) and op.operands[0].type.dtype is DType.I64:
        yield f"{op.mnemonic} of 64-bit elements"


def _loops(op: Op) -> tuple[int, int]:
    """Return how many axes an op works on, as the kernel sees them, and how many the kernel has loops for."""
    match op:
        case Transpose():
            return len(merged_axes(op)), TRANSPOSE_RANK
        case BinaryBase() | Prelu():
            return len(broadcast_axes(*op.operands)), BROADCAST_RANK
        case Slice():
            return len(sliced_axes(op)[1]), SLICE_RANK
        case Pad():
            return len(padded_axes(op)), PAD_RANK
        case Sum():
            return max(map(len, kept_and_reduced(op.input.type.shape, op.axes))), REDUCTION_RANK
        case _:
            return 0, 0


def _needed_constants(statement: Statement) -> Iterator[tuple[str, Value]]:
    match statement.op:
        case (
            Conv2D(weight=weight, bias=bias)
            | TransposeConv2D(weight=weight, bias=bias)
            | FullyConnected(weight=weight, bias=bias)
        ):
            yield "weights", weight
            if bias is not None:
                yield "bias", bias
        case LogSoftmax(differences=differences, exponentials=exponentials):
            yield "differences", differences
            yield "exponentials", exponentials
        case InterpolatedSoftmax(exponentials=exponentials, reciprocals=reciprocals):
            yield "exponentials", exponentials
            yield "reciprocals", reciprocals
        case Softmax(table=table) | ReciprocalSoftmax(table=table) | Table(table=table):
            yield "table", table
        case _:
            pass


def _table_problems(op: Softmax, table: Data) -> Iterator[str]:
    if int(table.array.min()) < 0 or int(table.array[0]) < 1:
        yield "a softmax table must hold no negative entry and begin with at least 1"
    elif greatest_softmax_term(op, table) >= 1 << 63:
        yield "the sums of the softmax do not fit 64 bits"


def _type_problems(value: Value) -> Iterator[str]:
    if not value.type.dtype.is_integer:
        yield f"{value} is {value.type.dtype}; the C has no floating point"
    if value.type.size > ELEMENT_LIMIT:
        yield f"{value} has {value.type.size} elements; at most 2^30 can be indexed"


def _where(statement: Statement) -> str:
    return str(statement.location) or f"{statement.result} = {statement.op.mnemonic}"
