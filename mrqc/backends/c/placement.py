"""Where each value lives: a buffer of the caller, flash, or the arena."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto

from mrqc.analysis.liveness import blocks_for, plan_arena, storage_roots
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


@dataclass(frozen=True, slots=True)
class Placement:
    """The memory of every value.

    Attributes:
        places: By value; a constant's elements are in ``constants``.
        roots: The value through whose memory each is seen; itself for most.
        constants: The elements of each value that is known at compile time.
        copies: Index of an output and the value to copy into it at the end: an input, a constant, or what another
            output holds.
        arena_bytes: Size of the arena; 0 if nothing is in it.
    """

    places: Mapping[Value, Place]
    roots: Mapping[Value, Value]
    constants: Mapping[Value, Data]
    copies: tuple[tuple[int, Value], ...]
    arena_bytes: int


def place_values(graph: Graph, constants: Mapping[Value, Data]) -> Placement:
    """Return the memory of every value of ``graph``.

    The first output that shows a computed value has it computed into its buffer; every other output is copied.
    """
    roots = storage_roots(graph)
    places = {value: Place(Home.INPUT, index) for index, value in enumerate(graph.inputs)}
    places.update((value, Place(Home.CONSTANT, 0)) for value in constants)
    copies: list[tuple[int, Value]] = []
    for index, output in enumerate(graph.outputs):
        root = roots[output.value]
        if output.value in places or root in places:
            copies.append((index, output.value))
        else:
            places[root] = Place(Home.OUTPUT, index)
    wanted = {root for root in roots.values() if root not in places}
    plan = plan_arena(blocks_for(graph, roots, wanted, IN_PLACE))
    places.update((root, Place(Home.ARENA, offset)) for root, offset in plan.offsets.items())
    for value, root in roots.items():
        places.setdefault(value, places[root])
    return Placement(places, roots, constants, tuple(copies), plan.bytes)
