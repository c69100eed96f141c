"""When values are alive, which of them may share memory, and where in one arena they fit."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from mrqc.ir import Graph, Op, Value
from mrqc.ops.int import Relabel
from mrqc.ops.structure import ReshapeBase, TransposeBase

ALIGNMENT = 16
"""Offsets are multiples of this: what the widest common vector registers like, and every element type needs."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A span of time, counted in statements: from ``first`` to ``last``, both included."""

    first: int
    last: int

    def overlaps(self, other: Interval) -> bool:
        """Return whether both are alive at one statement."""
        return self.first <= other.last and other.first <= self.last


@dataclass(frozen=True, slots=True)
class Block:
    """Memory that is wanted for some time.

    Attributes:
        values: What lives in it, one after the other; only at its one common moment do two of them meet.
        bytes: The size of the largest.
        interval: From the first definition to the last use.
    """

    values: tuple[Value, ...]
    bytes: int
    interval: Interval


@dataclass(frozen=True, slots=True)
class ArenaPlan:
    """Where each block stands.

    Attributes:
        offsets: By value, in bytes.
        bytes: Size of the arena.
    """

    offsets: Mapping[Value, int]
    bytes: int


def keeps_order(op: Op) -> bool:
    """Return whether the result's elements are the operand's, in the same order: nothing needs to move.

    True for every reshape and relabelling, and for a transpose that only moves axes of extent 1.
    """
    if isinstance(op, TransposeBase):
        moved = [axis for axis in op.permutation if op.input.type.shape[axis] > 1]
        return moved == sorted(moved)
    return isinstance(op, ReshapeBase | Relabel)


def storage_roots(graph: Graph) -> dict[Value, Value]:
    """Return for each value the one whose memory it is seen through: itself, unless ops keep the order."""
    roots: dict[Value, Value] = {value: value for value in graph.inputs}
    for statement in graph.statements:
        for result in statement.results:
            roots[result] = roots[statement.op.operands[0]] if keeps_order(statement.op) else result
    return roots


def live_intervals(graph: Graph, roots: Mapping[Value, Value]) -> dict[Value, Interval]:
    """Return when each root is alive: from its definition to the last use of it or of anything seen through it.

    Inputs are defined at -1, and outputs used after the last statement. A value that nothing uses still lives at its
    own statement, which writes it.
    """
    first: dict[Value, int] = dict.fromkeys(graph.inputs, -1)
    last: dict[Value, int] = dict(first)
    for index, statement in enumerate(graph.statements):
        for operand in statement.op.operands:
            last[roots[operand]] = index
        for result in statement.results:
            first.setdefault(roots[result], index)
            last[roots[result]] = index
    for output in graph.outputs:
        last[roots[output.value]] = len(graph.statements)
    return {root: Interval(start, last[root]) for root, start in first.items()}


def blocks_for(
    graph: Graph, roots: Mapping[Value, Value], wanted: Collection[Value], in_place: tuple[type[Op], ...]
) -> list[Block]:
    """Return the blocks that hold the ``wanted`` roots.

    The result of an ``in_place`` op takes over the block of an operand that dies there and is at least as large.

    Args:
        graph: What is computed.
        roots: From :func:`storage_roots`.
        wanted: The roots that need memory of their own; all others live elsewhere.
        in_place: Ops that may write each element of the result over the same element of an operand.
    """
    intervals = live_intervals(graph, roots)
    chains: dict[Value, list[Value]] = {}
    for index, statement in enumerate(graph.statements):
        for result in statement.results:
            if roots[result] != result or result not in wanted:
                continue
            chain = [result]
            if isinstance(statement.op, in_place):
                dying = (roots[operand] for operand in statement.op.operands)
                for operand in dying:
                    fits = operand in chains and operand.type.bytes >= result.type.bytes
                    # An operand that is stretched over the other is read again after it was overwritten.
                    fits = fits and operand.type.size == result.type.size
                    if fits and intervals[operand].last == index:
                        chain = chains[operand]
                        chain.append(result)
                        break
            chains[result] = chain
    unique = {id(chain): chain for chain in chains.values()}
    return [
        Block(
            tuple(chain),
            max(value.type.bytes for value in chain),
            Interval(intervals[chain[0]].first, intervals[chain[-1]].last),
        )
        for chain in unique.values()
    ]


def plan_arena(blocks: Sequence[Block], alignment: int = ALIGNMENT) -> ArenaPlan:
    """Return offsets at which no two blocks that are alive at once overlap.

    Greedy: each block goes to the lowest place that is free throughout its life. Large blocks first is the best order
    for most networks, order of birth for some; the smaller of both arenas is taken.

    Args:
        blocks: What is wanted.
        alignment: Every offset is a multiple of this.
    """
    by_size = sorted(range(len(blocks)), key=lambda index: (-blocks[index].bytes, index))
    by_birth = sorted(range(len(blocks)), key=lambda index: (blocks[index].interval.first, index))
    plans = [_plan_in_order([blocks[index] for index in order], alignment) for order in (by_size, by_birth)]
    return min(plans, key=lambda plan: plan.bytes)


def _plan_in_order(blocks: Sequence[Block], alignment: int) -> ArenaPlan:
    placed: list[tuple[int, int, Interval]] = []
    offsets: dict[Value, int] = {}
    for block in blocks:
        offset = 0
        taken = sorted((start, end) for start, end, interval in placed if interval.overlaps(block.interval))
        for start, end in taken:
            if offset + block.bytes <= start:
                break
            offset = max(offset, -(-end // alignment) * alignment)
        placed.append((offset, offset + block.bytes, block.interval))
        offsets.update(dict.fromkeys(block.values, offset))
    return ArenaPlan(offsets, max((end for _, end, _ in placed), default=0))
