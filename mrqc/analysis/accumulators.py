"""How large an accumulator can become: proved from the weights and the ranges of the codes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrqc.analysis.ranges import CodeRange, code_ranges
from mrqc.ir import Graph, Module, Op, Value
from mrqc.ops.int import (
    Add,
    AveragePool2D,
    BatchMatMul,
    Constant,
    Conv2D,
    FullyConnected,
    Mul,
    Prelu,
    Rescale,
    RescaledAdd,
    Sum,
    TransposeConv2D,
)


@dataclass(frozen=True, slots=True)
class AccumulatorBound:
    """The greatest magnitude that an accumulator reaches, whatever the input and the order of the sum.

    Attributes:
        magnitude: No partial sum, bias included, is greater or less than minus this.
        channel: The output channel that can reach it; 0 where all channels are alike.
    """

    magnitude: int
    channel: int = 0

    @property
    def needs_bits(self) -> int:
        """Width of a two's complement register that holds every partial sum."""
        return self.magnitude.bit_length() + 1


def accumulator_bounds(
    module: Module, ranges: Mapping[Value, CodeRange] | None = None
) -> dict[Value, AccumulatorBound]:
    """Return the bound of each accumulator, by the result of its statement.

    For a contraction it is the greatest, over the output channels, of ``sum(max(|low * w|, |high * w|)) +
    |bias|`` with the input's codes from ``low`` to ``high`` and the weights, both less their zero points: what
    the triangle inequality says of any subset of the products in any order. Pools and additions likewise; a
    rescale counts as the accumulation of one difference. Softmax has its own limit and is absent, as are all
    ops that do not accumulate.

    Args:
        module: An ``int.*`` module.
        ranges: Its code ranges, where they are known already.
    """
    known = code_ranges(module) if ranges is None else ranges
    found: dict[Value, AccumulatorBound] = {}
    for statement in module.graph.statements:
        bound = _bound(statement.op, module.graph, known)
        if bound is not None:
            found[statement.result] = bound
    return found


def _bound(op: Op, graph: Graph, ranges: Mapping[Value, CodeRange]) -> AccumulatorBound | None:
    match op:
        case Conv2D() | TransposeConv2D() | FullyConnected():
            return _contraction_bound(op, graph, ranges)
        case Add():
            lhs, rhs = _magnitude(ranges[op.lhs]), _magnitude(ranges[op.rhs])
            return AccumulatorBound(lhs * abs(op.lhs_multiplier) + rhs * abs(op.rhs_multiplier))
        case RescaledAdd():
            reach = op.lhs_scaling.reach(*ranges[op.lhs]) + op.rhs_scaling.reach(*ranges[op.rhs])
            return AccumulatorBound(reach)
        case Mul():
            lhs = _distance(ranges[op.lhs], op.lhs_zero_point)
            return AccumulatorBound(lhs * _distance(ranges[op.rhs], op.rhs_zero_point))
        case Prelu():
            distance = _distance(ranges[op.input], op.input_zero_point)
            # What lies above zero is not multiplied by the slope.
            return AccumulatorBound(distance * max(1, _distance(ranges[op.slope], op.slope_zero_point)))
        case BatchMatMul():
            lhs = _magnitude(_centred(ranges[op.lhs], op.lhs_zero_point))
            rhs = _magnitude(_centred(ranges[op.rhs], op.rhs_zero_point))
            return AccumulatorBound(op.matrices[0][1] * lhs * rhs)
        case AveragePool2D():
            return AccumulatorBound(op.kernel[0] * op.kernel[1] * _distance(ranges[op.input], op.input_zero_point))
        case Rescale():
            return AccumulatorBound(_magnitude(_centred(ranges[op.input], op.input_zero_point)))
        case Sum():
            return AccumulatorBound(op.count * _magnitude(_centred(ranges[op.input], op.input_zero_point)))
        case _:
            return None


def _contraction_bound(
    op: Conv2D | TransposeConv2D | FullyConnected, graph: Graph, ranges: Mapping[Value, CodeRange]
) -> AccumulatorBound:
    weights = _greatest_weights(op.weight, graph, ranges, op.weight_zero_point)
    greatest_code = _magnitude(_centred(ranges[op.input], op.input_zero_point))
    # The codes' interval bounds each product by its greater end: max(|low|, |high|) * |w|.
    totals = (np.abs(weights).reshape(weights.shape[0], -1).sum(axis=1) * greatest_code).tolist()
    if op.bias is not None:
        # In Python integers: a bias of 64 bits may be as large as it likes.
        biases = _greatest_weights(op.bias, graph, ranges).tolist()
        totals = [total + abs(bias) for total, bias in zip(totals, biases, strict=True)]
    channel = max(range(len(totals)), key=totals.__getitem__)
    return AccumulatorBound(totals[channel], channel)


def _greatest_weights(
    value: Value, graph: Graph, ranges: Mapping[Value, CodeRange], zero_point: int = 0
) -> NDArray[np.int64]:
    """Return the centred elements of a constant, or where they are computed the greatest magnitude they can have."""
    definition = graph.definitions.get(value)
    if definition is not None and isinstance(definition.op, Constant):
        elements: NDArray[Any] = definition.op.value.array
        return elements.astype(np.int64) - zero_point
    return np.full(value.type.shape, _magnitude(_centred(ranges[value], zero_point)), np.int64)


def _centred(codes: CodeRange, zero_point: int) -> CodeRange:
    return codes[0] - zero_point, codes[1] - zero_point


def _magnitude(codes: CodeRange) -> int:
    return max(abs(codes[0]), abs(codes[1]))


def _distance(codes: CodeRange, zero_point: int) -> int:
    """Return how far a code can be from a zero point."""
    return _magnitude(_centred(codes, zero_point))
