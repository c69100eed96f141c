"""Statements, graphs and modules: frozen, flat, in order of execution."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import mrqc.ir.text as module_text
from mrqc.ir.location import UNKNOWN, Location
from mrqc.ir.op import Op, Value


@dataclass(frozen=True, slots=True)
class Statement:
    """The use of an op: the names of its results and where it came from.

    The location takes no part in equality: two statements that compute the same are the same.
    """

    results: tuple[Value, ...]
    op: Op
    location: Location = field(default=UNKNOWN, compare=False)

    @property
    def result(self) -> Value:
        """The one result."""
        assert len(self.results) == 1, f"{self.op.mnemonic} has {len(self.results)} results"
        return self.results[0]


@dataclass(frozen=True, slots=True)
class Output:
    """A result of the module: the user's name for it and the value it is."""

    name: str
    value: Value


@dataclass(frozen=True)
class Graph:
    """A flat list of statements, each using only what stands before it."""

    inputs: tuple[Value, ...]
    statements: tuple[Statement, ...]
    outputs: tuple[Output, ...]

    @cached_property
    def definitions(self) -> Mapping[Value, Statement]:
        """The statement that defines each value; inputs have none."""
        return {result: statement for statement in self.statements for result in statement.results}

    @cached_property
    def uses(self) -> Mapping[Value, tuple[Statement, ...]]:
        """The statements that use each value, in order; values that nothing uses are absent."""
        found: dict[Value, list[Statement]] = {}
        for statement in self.statements:
            for operand in dict.fromkeys(statement.op.operands):
                found.setdefault(operand, []).append(statement)
        return {value: tuple(users) for value, users in found.items()}

    @cached_property
    def output_values(self) -> frozenset[Value]:
        """The values that leave the graph."""
        return frozenset(output.value for output in self.outputs)

    def values(self) -> Iterator[Value]:
        """Yield every value in order of definition, inputs first."""
        yield from self.inputs
        for statement in self.statements:
            yield from statement.results


@dataclass(frozen=True, slots=True)
class State:
    """What a model keeps from one run to the next: an input that takes what an output gave in the run before.

    Attributes:
        input: Name of the input.
        output: Name of the output; it has the type of the input.
        initial: What every element of the input is in the first run, as a real number.
    """

    input: str
    output: str
    initial: float = 0.0


@dataclass(frozen=True)
class Module:
    """A model: one graph, its name, and facts about it that the text keeps.

    Attributes:
        name: A C identifier.
        graph: What is computed.
        metadata: Sorted pairs such as ``("source", "model.onnx")`` or ``("target", "pow2-npu")``.
        states: The inputs that a caller hands on from run to run; none where runs do not depend on each other.
    """

    name: str
    graph: Graph
    metadata: tuple[tuple[str, str], ...] = ()
    states: tuple[State, ...] = ()

    def __str__(self) -> str:
        """Return the text of the module, constants included; it parses back to the equal module."""
        return module_text.print_module(self)

    @property
    def data_inputs(self) -> tuple[Value, ...]:
        """The inputs that are new in every run: all but the states."""
        kept = {state.input for state in self.states}
        return tuple(value for value in self.graph.inputs if value.name not in kept)

    def inputs_for(self, given: Collection[str]) -> tuple[Value, ...]:
        """Return the inputs that a caller must give who gives some: all, or those of a stream if none is a state."""
        return self.data_inputs if all(state.input not in given for state in self.states) else self.graph.inputs

    @property
    def data_outputs(self) -> tuple[Output, ...]:
        """The outputs that are results: all but the states."""
        kept = {state.output for state in self.states}
        return tuple(output for output in self.graph.outputs if output.name not in kept)

    def fact(self, key: str) -> str | None:
        """Return the metadata of that key, or None."""
        return dict(self.metadata).get(key)

    def with_facts(self, **facts: str) -> Module:
        """Return the module with metadata added or replaced."""
        return replace(self, metadata=tuple(sorted({**dict(self.metadata), **facts}.items())))

    def with_graph(self, graph: Graph) -> Module:
        """Return the module with another graph."""
        return replace(self, graph=graph)
