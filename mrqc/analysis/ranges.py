"""Which codes a value of an ``int.*`` module can hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from mrqc.ir import Module, Op, Value
from mrqc.ops.int import (
    ArgMax,
    Clamp,
    Concat,
    Constant,
    DoubleRescale,
    FloatAveragePool2D,
    FloatMean2D,
    FloatRescale,
    FloatSoftmax,
    Maximum,
    MaxPool2D,
    MeanPool2D,
    Minimum,
    Pad,
    Relabel,
    Requantize,
    Reshape,
    ResizeBilinear,
    Slice,
    Softmax,
    TableResizeBilinear,
    Take,
    Transpose,
)

CodeRange: TypeAlias = tuple[int, int]
"""The least and the greatest code, both of them possible."""


def code_ranges(module: Module) -> dict[Value, CodeRange]:
    """Return the least and greatest code that each integer value can hold, in order of definition.

    Inputs may hold every code of their dtype, constants what they hold, requantized and clamped values what
    their limits allow; pools, reshapes and transposes pass the range on. The result of an op that is not
    known here has the range of its dtype, which is always sound. Float values are absent.
    """
    found: dict[Value, CodeRange] = {
        value: _whole_range(value) for value in module.graph.inputs if value.type.dtype.is_integer
    }
    for statement in module.graph.statements:
        for result in statement.results:
            if result.type.dtype.is_integer:
                found[result] = _result_range(statement.op, result, found)
    return found


def _whole_range(value: Value) -> CodeRange:
    return (value.type.dtype.minimum, value.type.dtype.maximum)


def _result_range(op: Op, result: Value, found: Mapping[Value, CodeRange]) -> CodeRange:
    match op:
        case Constant():
            return (int(op.value.array.min()), int(op.value.array.max()))
        case MaxPool2D() | Reshape() | Transpose() | Slice() | Take() | ResizeBilinear() | Relabel():
            return found[op.input]
        case Pad():
            low, high = found[op.input]
            return (min(low, op.code), max(high, op.code)) if any(op.padding) else (low, high)
        case Concat():
            lows, highs = zip(*(found[value] for value in op.inputs), strict=True)
            return (min(lows), max(highs))
        case ArgMax():
            return (0, op.input.type.shape[op.axis] - 1)
        case Clamp() | MeanPool2D():
            low, high = found[op.input]
            return (
                min(max(low, op.minimum), op.maximum),
                min(max(high, op.minimum), op.maximum),
            )
        case Maximum() | Minimum():
            choose = max if isinstance(op, Maximum) else min
            (low, high), (other_low, other_high) = found[op.lhs], found[op.rhs]
            return (choose(low, other_low), choose(high, other_high))
        case _:
            return _range_of_requantization(op) or _whole_range(result)


def _range_of_requantization(op: Op) -> CodeRange | None:
    """Return the limits of an op that changes the scale of what it computes."""
    match op:
        case Softmax() | FloatRescale() | DoubleRescale() | FloatSoftmax():
            return (op.minimum, op.maximum)
        case FloatAveragePool2D() | FloatMean2D() | TableResizeBilinear():
            return (op.minimum, op.maximum)
        case _:
            requantize = getattr(op, "requantize", None)
            return (requantize.minimum, requantize.maximum) if isinstance(requantize, Requantize) else None
