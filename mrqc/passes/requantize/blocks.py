"""Blocks: parts of a graph between two values through which everything passes, whose layers are rounded together.

Li et al. 2021 (BRECQ, arXiv 2102.05426) found residual blocks the right unit: within one, the errors of layers can
make up for each other; over several, a few samples no longer tell which codes are good.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from mrqc.ir.graph import Module, Statement
from mrqc.ir.op import Op, Value
from mrqc.ops import nn

BlockLayer: TypeAlias = nn.Conv2D | nn.FullyConnected
"""The layers that a block may have."""

MOST_LAYERS = 4
"""Of a block."""


@dataclass(frozen=True)
class Block:
    """Some consecutive statements of a graph.

    Attributes:
        input: The only value in front of them that they use.
        statements: Those that depend on it, in order; of their results only the last one is used behind them.
    """

    input: Value
    statements: tuple[Statement, ...]

    @property
    def output(self) -> Value:
        """The only result that is used behind the block."""
        return self.statements[-1].result

    @property
    def layers(self) -> tuple[Statement, ...]:
        """The statements with weights."""
        return tuple(statement for statement in self.statements if isinstance(statement.op, BlockLayer))


def blocks_of(module: Module) -> tuple[Block, ...]:
    """Return the blocks of several layers, in order; a layer may be in none.

    What has a second path around it, such as a residual, is a block if it has no more than ``MOST_LAYERS`` and nothing
    but convolutions, fully connected layers, additions and pads of zeros, all with one scale for each result. In a
    chain, layers that mix no channels belong to the one behind them, which does, and so does the one in front that
    made these channels: expand, depthwise, project; or depthwise, pointwise.
    """
    found: list[Block] = []
    chain: tuple[Block, ...] = ()
    for segment in _segments(module):
        if not _is_simple(segment, module):
            found += _joined(chain)
            chain = ()
        elif len(segment.layers) > 1:
            found += _joined(chain)
            chain = ()
            found += _joined((segment,))
        elif segment.layers and _mixes(segment) and not any(map(_is_depthwise, chain)) and any(p.layers for p in chain):
            # Two layers that both mix channels: each for itself.
            chain = (*_trailing_pads(chain), segment)
        else:
            chain = (*chain, segment)
            if segment.layers and _mixes(segment) and any(map(_is_depthwise, chain)):
                found += _joined(chain)
                chain = ()
    return tuple(found + _joined(chain))


def _segments(module: Module) -> Iterator[Block]:
    """Yield the shortest parts between two values through which everything passes."""
    graph = module.graph
    known_later: set[Value] = set(graph.inputs)
    running: list[Statement] = []
    for statement in graph.statements:
        if not known_later.isdisjoint(statement.op.operands):
            running.append(statement)
            known_later.update(statement.results)
    last_use: dict[Value, int] = {}
    for index, statement in enumerate(running):
        last_use.update({operand: index for operand in statement.op.operands if operand in known_later})
    still_used = set(graph.inputs) & last_use.keys()
    first, entry = 0, next(iter(still_used)) if len(still_used) == 1 else None
    for index, statement in enumerate(running):
        still_used = {value for value in still_used if last_use[value] > index}
        still_used |= {value for value in statement.results if last_use.get(value, -1) > index}
        is_last = index == len(running) - 1
        if still_used == set(statement.results) or (is_last and not still_used):
            if entry is not None:
                yield Block(entry, tuple(running[first : index + 1]))
            first, entry = index + 1, statement.results[0]


def _is_simple(block: Block, module: Module) -> bool:
    """Whether a block has nothing but what its reconstruction knows, and leaves the graph only at its end."""
    outputs = module.graph.output_values
    inner = {result for statement in block.statements[:-1] for result in statement.results}
    return inner.isdisjoint(outputs) and all(map(_is_known, block.statements)) and _has_one_scale(block.input)


def _is_known(statement: Statement) -> bool:
    op: Op = statement.op
    if len(statement.results) != 1 or not _has_one_scale(statement.result):
        return False
    if isinstance(op, nn.Conv2D):
        return min(op.padding) >= 0
    if isinstance(op, nn.Add):
        return op.lhs.type.shape == op.rhs.type.shape
    if isinstance(op, nn.Pad):
        outside = (*op.padding[:2], *op.padding[6:])
        return op.value == 0.0 and op.input.type.rank == 4 and min(op.padding) >= 0 and not any(outside)
    return isinstance(op, nn.FullyConnected)


def _has_one_scale(value: Value) -> bool:
    quantization = value.type.quantization
    return quantization is not None and quantization.is_per_tensor


def _is_depthwise(segment: Block) -> bool:
    return any(isinstance(layer.op, nn.Conv2D) and layer.op.is_depthwise for layer in segment.layers)


def _mixes(segment: Block) -> bool:
    return not _is_depthwise(segment)


def _trailing_pads(chain: tuple[Block, ...]) -> tuple[Block, ...]:
    """Return what stands behind the last layer of a chain."""
    last = max((index for index, segment in enumerate(chain) if segment.layers), default=-1)
    return chain[last + 1 :]


def _joined(chain: tuple[Block, ...]) -> list[Block]:
    """Return a chain as one block, without the pads at its end, if it has several layers and not too many."""
    chain = chain[: len(chain) - len(_trailing_pads(chain))]
    if not chain:
        return []
    block = Block(chain[0].input, tuple(statement for segment in chain for statement in segment.statements))
    return [block] if 2 <= len(block.layers) <= MOST_LAYERS else []
