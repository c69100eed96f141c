"""Which activations may have a zero point on hardware that knows none.

A layer without padding takes the zero point of its input into its bias, exactly: ``W(c - z) + b = Wc + (b - zW1)``. So
a tensor that only such layers use can have its codes anywhere, and a ReLU in signed bytes keeps all its 256 levels. An
addition adds the offsets of its operands; the layer behind one of them can shift that one so that the sum comes out
right.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

import networkx as nx

from mrqc.ir.graph import Module, Statement
from mrqc.ir.op import Op, Value
from mrqc.ir.types import Element
from mrqc.ops import nn
from mrqc.passes.requantize.form import Layer, Real

_PASSING = (
    nn.Reshape,
    nn.Transpose,
    nn.Slice,
    nn.Take,
    nn.Concat,
    nn.Clip,
    nn.Pad,
    nn.MirrorPad,
    nn.ResizeNearest,
)
"""Ops that only move or clamp codes: operand and result have one zero point."""

Addition = nn.Add | nn.Sub

_Offset = TypeVar("_Offset", float, Real)


@dataclass(frozen=True)
class Absorption:
    """Where zero points go on hardware that knows none.

    Attributes:
        groups: The exact scale groups whose zero points the hardware never sees, whatever they are.
        balancing: For each addition of such a group, by the name of its result, the operand whose offset follows from
            the other two.
    """

    groups: frozenset[int]
    balancing: Mapping[str, Value]


def absorption(module: Module, groups: Mapping[Value, int], fixed: Collection[int] = ()) -> Absorption:
    """Return which groups can be absorbed.

    Every member is made by a layer, whose bias shifts its results, by the host in front of the graph, or from another
    member; and every use of a member is by a layer without padding, by what does not care (a softmax, an index of the
    greatest), by the host behind the graph, or makes another member.

    Args:
        module: In the form of re-quantization.
        groups: The exact scale group of each activation.
        fixed: Groups that have no zero point in any case.
    """
    joined = _joined(module, groups)
    barred = _spread(joined, _barred(module, groups) | set(fixed))
    while True:
        balancing: dict[str, Value] = {}
        more = set(barred)
        for statement in module.graph.statements:
            op = statement.op
            if not isinstance(op, Addition) or statement.result not in groups:
                continue
            free = _balancing_operand(op, module, groups, barred, {groups[value] for value in balancing.values()})
            if free is None:
                more |= {groups[value] for value in (*op.operands, statement.result) if value in groups}
            else:
                balancing[statement.result.name] = free
        more = _spread(joined, more)
        if more == barred:
            return Absorption(frozenset(set(groups.values()) - barred), balancing)
        barred = more


def _joined(module: Module, groups: Mapping[Value, int]) -> nx.Graph[int]:
    """Return which groups have a zero point only together: what a mean or an op on codes leads to."""
    joined: nx.Graph[int] = nx.Graph()
    joined.add_nodes_from(set(groups.values()))
    for statement in module.graph.statements:
        if passes(statement.op) and statement.result in groups:
            joined.add_edges_from(
                (groups[value], groups[statement.result]) for value in statement.op.operands if value in groups
            )
    return joined


def _spread(joined: nx.Graph[int], barred: set[int]) -> set[int]:
    return {
        group
        for component in nx.connected_components(joined)
        if not barred.isdisjoint(component)
        for group in component
    }


def _barred(module: Module, groups: Mapping[Value, int]) -> set[int]:
    """Return the groups that something makes or uses which must not see a zero point; additions are another matter."""
    barred: set[int] = set()
    for statement in module.graph.statements:
        op, result = statement.op, statement.result
        if isinstance(op, Addition):
            continue
        is_passing = passes(op)
        if result in groups and not (is_passing or isinstance(op, Layer) or _is_entry(op, module)):
            barred.add(groups[result])
        barred |= {
            groups[value]
            for value in op.operands
            if value in groups and not (is_passing and result in groups) and not _absorbs(op, value)
        }
    return barred


def _balancing_operand(
    op: Addition, module: Module, groups: Mapping[Value, int], barred: set[int], taken: set[int]
) -> Value | None:
    """Return an operand that a layer makes, whose offset can be whatever the addition needs.

    Nothing else may ask for its offset: no tensor tied to it, no mean of it, no other addition. One without a ReLU is
    better, because the zero of a ReLU belongs at the end of the codes; then one that is used here alone.
    """
    definitions, uses = module.graph.definitions, module.graph.uses

    def is_free(value: Value) -> bool:
        group = groups.get(value)
        definition = definitions.get(value)
        alone = group is not None and sum(other == group for other in groups.values()) == 1
        made = definition is not None and isinstance(definition.op, Layer)
        others = [user for user in uses.get(value, ()) if user.op is not op]
        wanted = any(isinstance(user.op, Addition) or passes(user.op) for user in others)
        return alone and made and not wanted and group not in barred and group not in taken

    free = [value for value in (op.lhs, op.rhs) if is_free(value)]

    def preference(value: Value) -> tuple[bool, int]:
        layer = definitions[value].op
        return isinstance(layer, Layer) and layer.clamp[0] >= 0.0, len(uses.get(value, ()))

    return min(free, key=preference, default=None) if op.lhs != op.rhs else None


def offset_of(element: Element) -> float:
    """Return scale times zero point of a per-tensor element, 0 for everything else."""
    quantization = element.quantization
    if quantization is None or not quantization.is_per_tensor:
        return 0.0
    return quantization.scale * quantization.zero_point


def balance(op: Addition, free: Value, total: _Offset, other: _Offset) -> _Offset:
    """Return the offset of one operand of an addition, given those of its result and of its other operand."""
    if isinstance(op, nn.Add):
        return total - other
    return total + other if free == op.lhs else other - total


def mean_links(module: Module, groups: Mapping[Value, int]) -> Iterator[tuple[Value, Value]]:
    """Yield operand and result of each mean between two groups: both have the same real offset."""
    for statement in module.graph.statements:
        if isinstance(statement.op, nn.Mean | nn.AveragePool2D):
            operand, result = statement.op.input, statement.result
            if operand in groups and result in groups:
                yield operand, result


def addition_of(statement: Statement) -> Addition:
    """Return the op of a statement that adds or subtracts."""
    assert isinstance(statement.op, Addition)
    return statement.op


def passes(op: Op) -> bool:
    """Whether the real offset of an op's result is that of its operand."""
    if isinstance(op, nn.MaxPool2D | nn.AveragePool2D):
        return not op.window.is_padded
    return isinstance(op, (*_PASSING, nn.Mean))


def _is_entry(op: Op, module: Module) -> bool:
    """Whether an op takes an input into the scheme of the target; constants are as they are."""
    return isinstance(op, nn.Quantize) and op.input in module.graph.inputs


def _absorbs(op: Op, operand: Value) -> bool:
    """Whether an op takes an operand with a zero point as it takes one without."""
    if isinstance(op, nn.Softmax | nn.LogSoftmax | nn.ArgMax | nn.Quantize | nn.FullyConnected):
        return operand is op.input
    # Every sum must take in all weights, so that a shift of the input is one number for a channel.
    return isinstance(op, nn.Conv2D) and operand is op.input and not any(op.padding)
