"""``canonicalize``: one form for what can be written in several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from mrqc.ir.graph import Module, Statement
from mrqc.ir.op import Op, Value
from mrqc.ir.rewrite import GraphBuilder, rewrite, without_dead_statements
from mrqc.ops import int as int_ops
from mrqc.ops import nn
from mrqc.ops.structure import ReshapeBase, SliceBase, TakeBase, TransposeBase
from mrqc.passes.definition import Exactness, Pass


@dataclass(frozen=True)
class Canonicalize(Pass):
    """Remove statements that change nothing and merge moves that follow each other.

    Identity reshapes, transposes, slices, choices, pads, requantizations, clips and clamps go; a reshape of a reshape,
    a transpose of a transpose, a slice of a slice and a relabel of a relabel become one; zeros around an image become
    the padding of the convolution behind them; a transpose that moves only axes of extent 1 becomes a reshape; unused
    statements go.
    """

    name: ClassVar[str] = "canonicalize"
    summary: ClassVar[str] = "remove identities and merge consecutive moves"
    exactness: ClassVar[Exactness] = "exact"

    def __call__(self, module: Module) -> Module:
        """Return the simplified module."""
        definitions: dict[Value, Op] = {}

        def rule(statement: Statement, builder: GraphBuilder) -> Sequence[Value] | None:
            op = _merged(statement.op, definitions)
            if op is statement.op and _passes_through(op):
                return op.operands[:1]
            if _passes_through(op):
                return op.operands[:1]
            result = builder.emit(op, statement.location) if op is not statement.op else None
            kept = result or Value(statement.result.name, op.infer()[0])
            definitions[kept] = op
            return (result,) if result is not None else None

        return without_dead_statements(rewrite(module, rule))


def _merged(op: Op, definitions: dict[Value, Op]) -> Op:
    """Return the op with the move that it follows merged into it."""
    if isinstance(op, TransposeBase) and _moves_only_units(op):
        shape = tuple(op.input.type.shape[axis] for axis in op.permutation)
        reshape = int_ops.Reshape if isinstance(op, int_ops.Transpose) else nn.Reshape
        quantization = op.input.type.quantization
        if quantization is None or quantization.is_per_tensor:
            op = reshape(op.input, shape)
    source = definitions.get(op.operands[0]) if op.operands else None
    if isinstance(op, ReshapeBase) and isinstance(source, ReshapeBase):
        return type(op)(source.input, op.shape)
    if isinstance(op, SliceBase) and isinstance(source, SliceBase):
        return _sliced_once(op, source)
    if isinstance(op, TransposeBase) and isinstance(source, TransposeBase):
        return type(op)(source.input, tuple(source.permutation[axis] for axis in op.permutation))
    if isinstance(op, int_ops.Relabel) and isinstance(source, int_ops.Relabel):
        return replace(op, input=source.input)
    if isinstance(op, nn.Conv2D) and isinstance(source, nn.Pad) and _borders_with_zeros(source):
        (_, _, top, bottom, left, right, _, _), own = source.padding, op.padding
        padding = (own[0] + top, own[1] + left, own[2] + bottom, own[3] + right)
        return replace(op, input=source.input, padding=padding)
    return op


def _borders_with_zeros(op: nn.Pad) -> bool:
    """Whether rows and columns of real zeros come around an image, as the padding of a convolution does."""
    return op.value == 0.0 and op.input.type.rank == 4 and not any(op.padding[:2]) and not any(op.padding[6:])


def _sliced_once(op: SliceBase, source: SliceBase) -> Op:
    """Return a slice of a slice as one."""
    begin = tuple(
        first + start * step for first, step, start in zip(source.begin, source.strides, op.begin, strict=True)
    )
    strides = tuple(outer * inner for outer, inner in zip(source.strides, op.strides, strict=True))
    return type(op)(source.input, begin, op.size, strides)


def _moves_only_units(op: TransposeBase) -> bool:
    """Whether the axes longer than 1 keep their order, so that the elements do."""
    long_axes = [axis for axis in op.permutation if op.input.type.shape[axis] > 1]
    return long_axes == sorted(long_axes)


def _passes_through(op: Op) -> bool:
    """Whether the result is the first operand, bit for bit."""
    if isinstance(op, ReshapeBase):
        return op.shape == op.input.type.shape
    if isinstance(op, TransposeBase):
        return op.permutation == tuple(range(op.input.type.rank))
    if isinstance(op, SliceBase):
        return all(op.is_whole(axis) for axis in range(op.input.type.rank))
    if isinstance(op, TakeBase):
        return op.indices == tuple(range(op.input.type.shape[op.axis]))
    if isinstance(op, nn.Pad | nn.MirrorPad | int_ops.Pad):
        return not any(op.padding)
    return _keeps_codes(op)


def _keeps_codes(op: Op) -> bool:
    """Whether an op that computes gives its operand, bit for bit."""
    if isinstance(op, nn.Concat | int_ops.Concat):
        return len(op.inputs) == 1 and op.element == op.inputs[0].type.element
    if isinstance(op, nn.Relabel):
        return set(op.factors) == {1.0} and op.zero_point_shift == 0
    if isinstance(op, nn.Quantize | int_ops.Relabel):
        return op.element == op.input.type.element
    if isinstance(op, nn.Clip):
        low, high = op.input.type.element.real_range if _is_per_tensor(op.input) else (0.0, 0.0)
        return op.element == op.input.type.element and op.clamp[0] <= low and op.clamp[1] >= high and low < high
    if isinstance(op, int_ops.Clamp):
        return op.minimum == op.input.type.dtype.minimum and op.maximum == op.input.type.dtype.maximum
    return False


def _is_per_tensor(value: Value) -> bool:
    quantization = value.type.quantization
    return quantization is None or quantization.is_per_tensor
