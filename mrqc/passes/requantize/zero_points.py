"""Which activations may have a zero point on hardware that knows none.

A layer without padding takes the zero point of its input into its bias, exactly: ``W(c - z) + b = Wc + (b - zW1)``. So
a tensor that only such layers use can have its codes anywhere, and a ReLU in signed bytes keeps all its 256 levels.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import networkx as nx

from mrqc.ir.graph import Module
from mrqc.ir.op import Op, Value
from mrqc.ops import nn
from mrqc.passes.requantize.form import Layer

_PASSING = (
    nn.Reshape,
    nn.Transpose,
    nn.Slice,
    nn.Take,
    nn.Clip,
    nn.Pad,
    nn.MirrorPad,
    nn.ResizeNearest,
)
"""Ops that only move or clamp codes: operand and result have one zero point."""


def absorbable(module: Module, groups: Mapping[Value, int]) -> frozenset[int]:
    """Return the exact scale groups whose zero points the hardware never sees, whatever they are.

    Every member is made by a layer, whose bias shifts its results, by the host in front of the graph, or from another
    member; and every use of a member is by a layer without padding, by what does not care (a softmax, an index of the
    greatest), by the host behind the graph, or makes another member.

    Args:
        module: In the form of re-quantization.
        groups: The exact scale group of each activation.
    """
    joined: nx.Graph[int] = nx.Graph()
    joined.add_nodes_from(set(groups.values()))
    barred: set[int] = set()
    for statement in module.graph.statements:
        op, result = statement.op, statement.result
        passes = _passes(op)
        if result in groups and not (passes or isinstance(op, Layer | nn.Quantize)):
            barred.add(groups[result])
        for operand in op.operands:
            if operand not in groups:
                continue
            if passes and result in groups:
                joined.add_edge(groups[operand], groups[result])
            elif not _absorbs(op, operand):
                barred.add(groups[operand])
    free: set[int] = set()
    for component in nx.connected_components(joined):
        if barred.isdisjoint(component):
            free |= component
    return frozenset(free)


def mean_links(module: Module, groups: Mapping[Value, int]) -> Iterator[tuple[Value, Value]]:
    """Yield operand and result of each mean between two groups: both must have the same real offset."""
    for statement in module.graph.statements:
        if isinstance(statement.op, nn.Mean | nn.AveragePool2D):
            operand, result = statement.op.input, statement.result
            if operand in groups and result in groups:
                yield operand, result


def _passes(op: Op) -> bool:
    if isinstance(op, nn.MaxPool2D | nn.AveragePool2D):
        return not op.window.is_padded
    return isinstance(op, (*_PASSING, nn.Mean))


def _absorbs(op: Op, operand: Value) -> bool:
    """Whether an op takes an operand with a zero point as it takes one without."""
    if isinstance(op, nn.Softmax | nn.LogSoftmax | nn.ArgMax | nn.Quantize | nn.FullyConnected):
        return operand is op.input
    # Every sum must take in all weights, so that a shift of the input is one number for a channel.
    return isinstance(op, nn.Conv2D) and operand is op.input and not any(op.padding)
