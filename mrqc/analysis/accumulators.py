"""How large an accumulator can become: proved from the weights and the ranges of the codes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrqc.analysis.ranges import CodeRange, code_ranges
from mrqc.ir import Graph, Module, Op, Value
from mrqc.ops.contraction import Conv2DBase, FullyConnectedBase
from mrqc.ops.int import Add, AveragePool2D, Constant, Conv2D, FullyConnected, Rescale, RescaledAdd, Sum


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
    |bias|`` with the input's codes from ``low`` to ``high``: what the triangle inequality says of any subset
    of the products in any order. Pools and additions likewise; a rescale counts as the accumulation of one
    difference. Softmax has its own limit and is absent, as are all ops that do not accumulate.

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
        case Conv2D() | FullyConnected():
            return _contraction_bound(op, graph, ranges)
        case Add():
            lhs, rhs = _magnitude(ranges[op.lhs]), _magnitude(ranges[op.rhs])
            return AccumulatorBound(lhs * op.lhs_multiplier + rhs * op.rhs_multiplier)
        case RescaledAdd():
            reach = op.lhs_scaling.reach(*ranges[op.lhs]) + op.rhs_scaling.reach(*ranges[op.rhs])
            return AccumulatorBound(reach)
        case AveragePool2D():
            return AccumulatorBound(op.kernel[0] * op.kernel[1] * _magnitude(ranges[op.input]))
        case Rescale():
            low, high = ranges[op.input]
            return AccumulatorBound(_magnitude((low - op.input_zero_point, high - op.input_zero_point)))
        case Sum():
            low, high = ranges[op.input]
            return AccumulatorBound(op.count * _magnitude((low - op.input_zero_point, high - op.input_zero_point)))
        case _:
            return None


def _contraction_bound(
    op: Conv2DBase | FullyConnectedBase, graph: Graph, ranges: Mapping[Value, CodeRange]
) -> AccumulatorBound:
    weights = _greatest_weights(op.weight, graph, ranges)
    greatest_code = _magnitude(ranges[op.input])
    # The codes' interval bounds each product by its greater end: max(|low|, |high|) * |w|.
    totals = np.abs(weights).reshape(weights.shape[0], -1).sum(axis=1) * greatest_code
    if op.bias is not None:
        totals = totals + np.abs(_greatest_weights(op.bias, graph, ranges))
    channel = int(totals.argmax())
    return AccumulatorBound(int(totals[channel]), channel)


def _greatest_weights(value: Value, graph: Graph, ranges: Mapping[Value, CodeRange]) -> NDArray[np.int64]:
    """Return the elements of a constant, or where they are computed the greatest magnitude they can have."""
    definition = graph.definitions.get(value)
    if definition is not None and isinstance(definition.op, Constant):
        elements: NDArray[Any] = definition.op.value.array
        return elements.astype(np.int64)
    return np.full(value.type.shape, _magnitude(ranges[value]), np.int64)


def _magnitude(codes: CodeRange) -> int:
    return max(abs(codes[0]), abs(codes[1]))
