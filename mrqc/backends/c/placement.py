"""Where each value lives: a buffer of the caller, flash, or the arena."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from types import MappingProxyType

import networkx as nx

from mrqc.analysis.liveness import blocks_for, live_intervals, plan_arena, storage_roots
from mrqc.errors import TargetError
from mrqc.ir import Data, Graph, Op, Value
from mrqc.ops.int import Add, Clamp, Maximum, Minimum, Mul, Prelu, Rescale, RescaledAdd, Table

IN_PLACE: tuple[type[Op], ...] = (Add, Clamp, Maximum, Minimum, Mul, Prelu, Rescale, RescaledAdd, Table)
"""Their kernels read each block of elements before they write it."""


class Home(Enum):
    """Kinds of memory."""

    INPUT = auto()
    OUTPUT = auto()
    CONSTANT = auto()
    ARENA = auto()


@dataclass(frozen=True, slots=True)
class Place:
    """The memory of a value.

    Attributes:
        home: Its kind.
        index: Of the input or output; the offset in the arena; 0 for a constant.
    """

    home: Home
    index: int


_NO_STATES: Mapping[int, Value] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Placement:
    """The memory of every value.

    Attributes:
        places: By value; a constant's elements are in ``constants``.
        roots: The value through whose memory each is seen; itself for most.
        constants: The elements of each value that is known at compile time.
        copies: Index of an output and the value to copy into it at the end: an input, a constant, what another output
            holds, or the next content of a state whose present content is read until then. In order: what one copy
            reads no earlier one has written.
        arena_bytes: Size of the arena; 0 if nothing is in it.
    """

    places: Mapping[Value, Place]
    roots: Mapping[Value, Value]
    constants: Mapping[Value, Data]
    copies: tuple[tuple[int, Value], ...]
    arena_bytes: int


def place_values(graph: Graph, constants: Mapping[Value, Data], states: Mapping[int, Value] = _NO_STATES) -> Placement:
    """Return the memory of every value of ``graph``.

    The first output that shows a computed value has it computed into its buffer; every other output is copied. The
    buffer of a state is that of an input as well, so its next content waits in the arena while the present one is used.

    Args:
        graph: What is computed.
        constants: The elements of values that are known at compile time.
        states: For the index of an output that is the next content of a state, the input that is the present one.

    Raises:
        TargetError: States that only exchange their contents: one copy after the other cannot do that.
    """
    roots = storage_roots(graph)
    intervals = live_intervals(graph, roots)
    places = {value: Place(Home.INPUT, index) for index, value in enumerate(graph.inputs)}
    places.update((value, Place(Home.CONSTANT, 0)) for value in constants)
    copies: list[tuple[int, Value]] = []
    for index, output in enumerate(graph.outputs):
        root = roots[output.value]
        if root == states.get(index):
            continue
        is_read = index in states and intervals[states[index]].last >= intervals[root].first
        if output.value in places or root in places or is_read:
            copies.append((index, output.value))
        else:
            places[root] = Place(Home.OUTPUT, index)
    wanted = {root for root in roots.values() if root not in places}
    plan = plan_arena(blocks_for(graph, roots, wanted, IN_PLACE))
    places.update((root, Place(Home.ARENA, offset)) for root, offset in plan.offsets.items())
    for value, root in roots.items():
        places.setdefault(value, places[root])
    return Placement(places, roots, constants, _in_order(copies, roots, states), plan.bytes)


def _in_order(
    copies: list[tuple[int, Value]], roots: Mapping[Value, Value], states: Mapping[int, Value]
) -> tuple[tuple[int, Value], ...]:
    """Return copies such that a state is overwritten after it was read.

    Raises:
        TargetError: There is no such order.
    """
    order: nx.DiGraph[int] = nx.DiGraph()
    order.add_nodes_from(range(len(copies)))
    for reader, (_, value) in enumerate(copies):
        for writer, (index, _) in enumerate(copies):
            if reader != writer and states.get(index) == roots[value]:
                order.add_edge(reader, writer)
    try:
        return tuple(copies[number] for number in nx.lexicographical_topological_sort(order))
    except nx.NetworkXUnfeasible:
        names = ", ".join(repr(states[index].name) for index, _ in copies if index in states)
        raise TargetError(f"some of the states {names} only exchange their contents, which the C cannot do") from None
