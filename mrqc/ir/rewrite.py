"""Rebuilding a graph in one forward walk."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

from mrqc.ir.graph import Graph, Module, Output, Statement
from mrqc.ir.location import UNKNOWN, Location
from mrqc.ir.op import Op, Value
from mrqc.ir.types import TensorType


class GraphBuilder:
    """Collects statements and hands out names; the only mutable thing of the IR, and it never leaves a function.

    A rewriter asks :meth:`lookup` for the new value of an old one, emits new statements, and records with
    :meth:`bind` what now stands for the old results.
    """

    def __init__(self, reserved: Iterable[str] = ()) -> None:
        """Start an empty graph that will not use the ``reserved`` names for its own values."""
        self._names = set(reserved)
        self._inputs: list[Value] = []
        self._statements: list[Statement] = []
        self._definitions: dict[Value, Op] = {}
        self._replacements: dict[Value, Value] = {}
        self._counter = 0

    def fresh_name(self, wanted: str | None = None) -> str:
        """Return ``wanted``, with a number behind it if it is taken; without a wish the next free number."""
        if wanted is not None:
            name, suffix = wanted, 0
            while name in self._names:
                suffix += 1
                name = f"{wanted}_{suffix}"
        else:
            while (name := str(self._counter)) in self._names:
                self._counter += 1
        self._names.add(name)
        return name

    def add_input(self, name: str, type_: TensorType) -> Value:
        """Declare the next input of the graph."""
        value = Value(self.fresh_name(name), type_)
        self._inputs.append(value)
        return value

    def adopt_input(self, value: Value) -> None:
        """Make ``value``, under its own name, the next input of the graph."""
        self._names.add(value.name)
        self._inputs.append(value)

    def emit(self, op: Op, location: Location = UNKNOWN, name: str | None = None) -> Value:
        """Append a statement with one result, and return that."""
        (type_,) = op.infer()
        value = Value(self.fresh_name(name), type_)
        self._statements.append(Statement((value,), op, location))
        self._definitions[value] = op
        return value

    def definition(self, value: Value) -> Op | None:
        """Return the op that was emitted for ``value``, or None for an input and for what was only appended."""
        return self._definitions.get(value)

    def append(self, statement: Statement) -> None:
        """Append a statement whose results keep their names, which must be free."""
        self._names.update(result.name for result in statement.results)
        self._statements.append(statement)

    def lookup(self, old: Value) -> Value:
        """Return what stands for ``old`` in the new graph: itself unless bound otherwise."""
        return self._replacements.get(old, old)

    def bind(self, old: Value, new: Value) -> None:
        """Record that ``new`` stands for ``old`` from here on."""
        self._replacements[old] = new

    def finish(self, outputs: Iterable[Output]) -> Graph:
        """Return the graph; ``outputs`` are given in values of the old graph or of the new one."""
        renamed = tuple(Output(output.name, self.lookup(output.value)) for output in outputs)
        return Graph(tuple(self._inputs), tuple(self._statements), renamed)


Rule: TypeAlias = Callable[[Statement, GraphBuilder], Sequence[Value] | None]
"""Given a statement whose operands are already those of the new graph, emit its replacement and return the values
that stand for its results, or return None to keep the statement."""


def rewrite(module: Module, rule: Rule) -> Module:
    """Return ``module`` with ``rule`` applied to each statement, in order.

    A kept statement whose operands changed type has its result types inferred anew.
    """
    graph = module.graph
    builder = GraphBuilder(value.name for value in graph.values())
    for value in graph.inputs:
        builder.adopt_input(value)
    for statement in graph.statements:
        op = statement.op.map_operands(builder.lookup)
        current = Statement(statement.results, op, statement.location)
        replacement = rule(current, builder)
        if replacement is None:
            types = op.infer() if op is not statement.op else tuple(result.type for result in statement.results)
            replacement = [Value(old.name, type_) for old, type_ in zip(statement.results, types, strict=True)]
            builder.append(Statement(tuple(replacement), op, statement.location))
        for old, new in zip(statement.results, replacement, strict=True):
            if old != new:
                builder.bind(old, new)
    return module.with_graph(builder.finish(graph.outputs))


def without_dead_statements(module: Module) -> Module:
    """Return ``module`` without the statements whose results nothing uses; inputs all stay."""
    graph = module.graph
    live = set(graph.output_values)
    kept: list[Statement] = []
    for statement in reversed(graph.statements):
        if live.isdisjoint(statement.results):
            continue
        live.update(statement.op.operands)
        kept.append(statement)
    if len(kept) == len(graph.statements):
        return module
    return module.with_graph(Graph(graph.inputs, tuple(reversed(kept)), graph.outputs))
