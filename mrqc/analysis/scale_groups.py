"""Which activation scales depend on each other, and how.

Some ops leave codes as they are, so that input and output share one scale exactly. On hardware that only shifts,
others ask for scales whose ratio is a power of two, or a power of two divided by a count. Values of the first kind
form *exact* groups; exact groups joined by relations of the second kind form *fraction* groups, in which the
fractional part of log2(scale) is one free number and the integer exponents are free for each exact group.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import networkx as nx

from mrqc.errors import Diagnostic
from mrqc.ir.graph import Module, Statement
from mrqc.ir.op import Op, Value
from mrqc.ir.rules import RuleTable
from mrqc.ops import NN_OPS, nn
from mrqc.ops.structure import ConstantBase


@dataclass(frozen=True, slots=True)
class Tie:
    """``log2 scale(second) = log2 scale(first) + offset``, up to an integer unless ``exact``."""

    first: Value
    second: Value
    offset: float = 0.0
    exact: bool = False


@dataclass(frozen=True, slots=True)
class ScaleGroups:
    """The groups of a module's activations.

    Attributes:
        members: The values of each exact group, in order of definition.
        group_of: The exact group of each activation.
        fraction_group: The fraction group of each exact group.
        offset: What each exact group adds to the free number of its fraction group, in octaves.
        conflicts: Relations that cannot hold together with the others.
    """

    members: tuple[tuple[Value, ...], ...]
    group_of: Mapping[Value, int]
    fraction_group: tuple[int, ...]
    offset: tuple[float, ...]
    conflicts: tuple[Diagnostic, ...]

    @property
    def fraction_groups(self) -> int:
        """The number of free numbers."""
        return max(self.fraction_group, default=-1) + 1


@dataclass(frozen=True, slots=True)
class TieConditions:
    """What ties scales on some hardware.

    Attributes:
        additions: Whether the scales of an addition's operands and result differ by powers of two.
        means: ``free``: there is a multiplier for means; ``count``: only a shift, so that the scales differ by a
            power of two over the number of elements; ``same``: the hardware divides, and keeps the scale.
    """

    additions: bool
    means: Literal["free", "count", "same"]

    @classmethod
    def of(cls, only_shifts: bool) -> TieConditions:
        """Return what holds where every op only shifts, or where every op has a multiplier."""
        return cls(only_shifts, "count" if only_shifts else "free")


TieRule = Callable[[Op, Value, TieConditions], Iterator[Tie]]
TIES: RuleTable[TieRule] = RuleTable("scale tie")
"""For each ``nn`` op: the ties between its operands and its result, given what ties scales on the target."""


@TIES.register(
    nn.Constant,
    nn.Conv2D,
    nn.TransposeConv2D,
    nn.BatchMatMul,
    nn.FullyConnected,
    nn.BatchNormalization,
    nn.Softmax,
    nn.LogSoftmax,
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
    nn.Mul,
    nn.SquaredDifference,
    nn.Prelu,
    nn.Quantize,
    nn.Dequantize,
    nn.Relabel,
    nn.ArgMax,
)
def _no_ties(op: Op, result: Value, conditions: TieConditions) -> Iterator[Tie]:
    """Weights take up the difference of the scales; functions go through a table; products and relabels tie nothing."""
    del op, result, conditions
    return iter(())


@TIES.register(
    nn.MaxPool2D,
    nn.Maximum,
    nn.Minimum,
    nn.Clip,
    nn.Reshape,
    nn.Transpose,
    nn.Pad,
    nn.MirrorPad,
    nn.Concat,
    nn.Slice,
    nn.Take,
    nn.ResizeBilinear,
    nn.ResizeNearest,
)
def _same_codes(op: Op, result: Value, conditions: TieConditions) -> Iterator[Tie]:
    """The codes pass through, so the scale does."""
    del conditions
    for operand in op.operands:
        if operand.type.element.is_quantized:
            yield Tie(operand, result, exact=True)


@TIES.register(nn.Add, nn.Sub)
def _add(op: Op, result: Value, conditions: TieConditions) -> Iterator[Tie]:
    """Each operand is shifted onto the grid of the result."""
    if conditions.additions:
        yield from (Tie(operand, result) for operand in op.operands)


@TIES.register(nn.AveragePool2D)
def _average_pool(op: Op, result: Value, conditions: TieConditions) -> Iterator[Tie]:
    """A sum of n codes at scale s is a mean at scale s / n: the division disappears into the scale."""
    assert isinstance(op, nn.AveragePool2D)
    yield from _mean_ties(op.input, result, math.prod(op.kernel), conditions)


@TIES.register(nn.Mean)
def _mean(op: Op, result: Value, conditions: TieConditions) -> Iterator[Tie]:
    """As an average pool."""
    assert isinstance(op, nn.Mean)
    yield from _mean_ties(op.input, result, op.count, conditions)


@TIES.register(nn.Sum)
def _sum(op: Op, result: Value, conditions: TieConditions) -> Iterator[Tie]:
    """A sum of codes is at their scale."""
    assert isinstance(op, nn.Sum)
    if conditions.means != "free":
        yield Tie(op.input, result)


def _mean_ties(operand: Value, result: Value, count: int, conditions: TieConditions) -> Iterator[Tie]:
    """Yield the tie of a mean over ``count`` elements."""
    if conditions.means == "count":
        yield Tie(operand, result, offset=-math.log2(count))
    elif conditions.means == "same":
        yield Tie(operand, result, exact=True)


TIES.seal(NN_OPS)


def scale_groups(module: Module, conditions: TieConditions) -> ScaleGroups:
    """Return the groups of the quantized activations of an ``nn`` module."""
    activations = list(_activations(module))
    exact: nx.Graph[Value] = nx.Graph()
    exact.add_nodes_from(activations)
    loose: list[tuple[Tie, Statement]] = []
    for statement in module.graph.statements:
        for result in statement.results:
            for tie in TIES[type(statement.op)](statement.op, result, conditions):
                if tie.exact:
                    exact.add_edge(tie.first, tie.second)
                else:
                    loose.append((tie, statement))
    # The codes of a state come back as they left.
    exact.add_edges_from(edge for edge in state_edges(module) if set(edge) <= exact.nodes)
    order = {value: index for index, value in enumerate(activations)}
    components = sorted((sorted(component, key=order.__getitem__) for component in nx.connected_components(exact)),
                        key=lambda component: order[component[0]])  # fmt: skip
    group_of = {value: index for index, component in enumerate(components) for value in component}
    fraction_group, offset, conflicts = _fractions(len(components), group_of, loose)
    return ScaleGroups(tuple(map(tuple, components)), group_of, fraction_group, offset, conflicts)


def state_edges(module: Module) -> Iterator[tuple[Value, Value]]:
    """Yield each state of a module and the value that it becomes in the next run."""
    inputs = {value.name: value for value in module.graph.inputs}
    outputs = {output.name: output.value for output in module.graph.outputs}
    return ((inputs[state.input], outputs[state.output]) for state in module.states)


def _activations(module: Module) -> Iterator[Value]:
    """Yield the quantized values that are no weights or biases, in order of definition.

    The two sides of a conversion at the edge of the graph, or of a rounding of constants, are separate: only what the
    layers compute with is an activation.
    """
    graph = module.graph
    weights = {
        parameter
        for statement in graph.statements
        if isinstance(statement.op, nn.Conv2D | nn.TransposeConv2D | nn.FullyConnected)
        for parameter in (statement.op.weight, statement.op.bias)
    }
    conversions = {s.result: s.op.input for s in graph.statements if isinstance(s.op, nn.Quantize)}
    constants = {s.result for s in graph.statements if isinstance(s.op, ConstantBase)}
    outer = {value for value in conversions.values() if value in constants or value in graph.inputs}
    outer |= {value for value in conversions if value in graph.output_values and value not in graph.uses}
    # An input that nothing asks for stays as it is.
    outer |= {value for value in graph.inputs if value not in graph.uses and value not in graph.output_values}
    for value in graph.values():
        is_parameter = value in weights and (value in constants or conversions.get(value) in constants)
        if value.type.element.is_quantized and not is_parameter and value not in outer:
            yield value


def _fractions(
    count: int, group_of: Mapping[Value, int], ties: list[tuple[Tie, Statement]]
) -> tuple[tuple[int, ...], tuple[float, ...], tuple[Diagnostic, ...]]:
    """Join exact groups by loose ties: the fraction group and offset of each, and the ties that contradict."""
    graph: nx.MultiGraph[int] = nx.MultiGraph()
    graph.add_nodes_from(range(count))
    for index, (tie, _) in enumerate(ties):
        graph.add_edge(group_of[tie.first], group_of[tie.second], key=index)
    fraction_group, offset = [0] * count, [0.0] * count
    for number, component in enumerate(sorted(nx.connected_components(graph), key=min)):
        root = min(component)
        fraction_group[root] = number
        for parent, child in nx.bfs_edges(graph, root):
            tie, _ = ties[min(int(key) for key in graph[parent][child])]
            sign = 1.0 if group_of[tie.first] == parent else -1.0
            fraction_group[child] = number
            offset[child] = (offset[parent] + sign * tie.offset) % 1.0
    conflicts = [
        Diagnostic(
            "its operands and its result cannot have scales whose ratios are powers of two: around this loop a mean "
            "over a count that is no power of two meets an addition",
            str(statement.location) or statement.op.mnemonic,
            "a target with a fixed-point multiplier can run it, or a pool over 2^n elements",
        )
        for tie, statement in ties
        if _octave_distance(offset[group_of[tie.first]] + tie.offset, offset[group_of[tie.second]]) > 1e-9
    ]
    return tuple(fraction_group), tuple(offset), tuple(conflicts)


def _octave_distance(first: float, second: float) -> float:
    """Return how far two logarithms are apart modulo 1."""
    return abs((first - second + 0.5) % 1.0 - 0.5)
