"""Variables that a TFLite model keeps between runs, as pairs of an input and an output of the graph."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np

from mrqc.errors import Diagnostic
from mrqc.frontends.constants import UnsupportedError
from mrqc.frontends.tflite.graph import Body, Operator, Port, TensorRecord, TfliteGraph
from mrqc.frontends.tflite.tensors import element_of, read_constant
from mrqc.ir.graph import State
from mrqc.ir.rewrite import GraphBuilder

Variable: TypeAlias = tuple[str, str]
"""Container and shared name: two handles with the same are one variable."""

_NEXT = "_next"
"""Behind the name of a state: the output that it takes over."""


def is_about_variables(operator: Operator) -> bool:
    """Return whether an operator declares, reads or writes a variable, or sets variables up."""
    return operator.builtin in ("CALL_ONCE", "VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE")


def without_variables(graph: TfliteGraph) -> tuple[TfliteGraph, tuple[State, ...], list[Diagnostic]]:
    """Return a graph whose variables are inputs and outputs, which of these belong together, and what is wrong.

    A variable that is read before it is written is an input; what is written last is an output. One that is never
    written is the constant that it was set up with, and one that is written first is no state at all.

    Args:
        graph: A graph without problems of its own.
    """
    if not any(map(is_about_variables, graph.operators)):
        return graph, (), []
    conversion = _Conversion(graph)
    converted = conversion.run()
    return converted, tuple(conversion.states), conversion.found


@dataclass
class _Conversion:
    """The state of one conversion."""

    graph: TfliteGraph
    found: list[Diagnostic] = field(default_factory=lambda: list[Diagnostic]())
    states: list[State] = field(default_factory=lambda: list[State]())

    def __post_init__(self) -> None:
        self._initial: dict[Variable, TensorRecord] = {}
        self._handles: dict[int, Variable] = {}
        # The tensor that holds a variable where the walk is, and the one that it was first read into.
        self._current: dict[Variable, int] = {}
        self._read: dict[Variable, int] = {}
        self._same: dict[int, int] = {}

    def run(self) -> TfliteGraph:
        kept: list[Operator] = []
        for operator in self.graph.operators:
            if not is_about_variables(operator):
                inputs = tuple(self._same.get(index, index) for index in operator.inputs)
                self._check_handles(inputs, operator.where)
                kept.append(replace(operator, inputs=inputs))
                continue
            try:
                self._follow(operator)
            except UnsupportedError as error:
                self.found.append(Diagnostic(error.reason, operator.where, error.hint))
        return self._finished(kept)

    def _follow(self, operator: Operator) -> None:
        """Take in one operator about variables.

        Raises:
            UnsupportedError: It has not the operands that it should have, or they do not fit.
        """
        if operator.builtin == "CALL_ONCE":
            body = self.graph.initializers.get(_number(operator.options.get("init_subgraph_index")))
            self._initial.update(_initial_contents(body))
        elif operator.builtin == "VAR_HANDLE":
            self._handles.update(_declared(operator))
        elif operator.builtin == "READ_VARIABLE":
            variable, result = _handle(operator, self._handles, 1), operator.outputs[0]
            known = self._current.get(variable)
            if known is None:
                self._read[variable] = self._current[variable] = result
            else:
                self._check_type(variable, known, result)
                self._same[result] = known
        else:
            variable = _handle(operator, self._handles, 2)
            written = self._same.get(operator.inputs[1], operator.inputs[1])
            if variable in self._read:
                self._check_type(variable, self._read[variable], written)
            self._current[variable] = written

    def _check_type(self, variable: Variable, first: int, second: int) -> None:
        """Make sure that the bytes of a variable always mean the same.

        Raises:
            UnsupportedError: Two tensors that it is read into or written from differ.
        """
        one, other = self.graph.tensors[first], self.graph.tensors[second]
        if one.shape != other.shape or element_of(one) != element_of(other):
            raise UnsupportedError(
                f"variable {_text(variable)!r} has another shape, type or quantization in {one.name!r} than in "
                f"{other.name!r}"
            )

    def _finished(self, kept: Sequence[Operator]) -> TfliteGraph:
        tensors, inputs = list(self.graph.tensors), list(self.graph.inputs)
        outputs = [replace(port, tensor=self._same.get(port.tensor, port.tensor)) for port in self.graph.outputs]
        names = GraphBuilder(port.name for port in (*inputs, *outputs))
        for port in outputs:
            self._check_handles((port.tensor,), f"output {port.name!r}")
        for variable, read in self._read.items():
            try:
                initial = self._initial_for(variable, read)
                if self._current[variable] == read:
                    # Nothing ever changes it.
                    tensors[read] = replace(tensors[read], content=initial.content)
                    continue
                number = _number_throughout(variable, replace(tensors[read], content=initial.content))
                name = names.fresh_name(_text(variable))
                state = State(name, names.fresh_name(f"{name}{_NEXT}"), number)
            except UnsupportedError as error:
                self.found.append(Diagnostic(error.reason, hint=error.hint))
                continue
            self.states.append(state)
            inputs.append(Port(state.input, read))
            outputs.append(Port(state.output, self._current[variable]))
        called = {_number(operator.options.get("init_subgraph_index")) for operator in self.graph.operators}
        return replace(
            self.graph,
            subgraphs=self.graph.subgraphs - len(called & self.graph.initializers.keys()),
            tensors=tuple(tensors),
            operators=tuple(kept),
            inputs=tuple(inputs),
            outputs=tuple(outputs),
        )

    def _check_handles(self, indices: Iterable[int], where: str) -> None:
        """Report what uses a handle in another way than to read or write the variable."""
        for index in indices:
            if index in self._handles:
                name = _text(self._handles[index])
                self.found.append(
                    Diagnostic(f"uses a handle of variable {name!r}, which can only be read and written", where)
                )

    def _initial_for(self, variable: Variable, read: int) -> TensorRecord:
        """Return what a variable is set up with; its bytes mean what they mean where they are read.

        Raises:
            UnsupportedError: It is not set up, or as something else than it is read as.
        """
        initial = self._initial.get(variable)
        if initial is None:
            raise UnsupportedError(
                f"variable {_text(variable)!r} is read before anything has been written to it",
                "a graph that CALL_ONCE runs sets it up",
            )
        record = self.graph.tensors[read]
        if len(record.quantization.scales) > 1:
            raise UnsupportedError(
                f"variable {_text(variable)!r} has {len(record.quantization.scales)} scales, expected 1"
            )
        if record.shape != initial.shape or record.element_type != initial.element_type:
            raise UnsupportedError(
                f"variable {_text(variable)!r} is set up as {initial.element_type} {list(initial.shape)} and read as "
                f"{record.element_type} {list(record.shape)}"
            )
        return initial


def _text(variable: Variable) -> str:
    return "/".join(part for part in variable if part) or "variable"


def _number(content: object) -> int:
    return content if isinstance(content, int) else -1


def _declared(operator: Operator) -> Iterator[tuple[int, Variable]]:
    """Yield the result of a handle's declaration and the variable that it is a handle of."""
    names = operator.options.get("container", ""), operator.options.get("shared_name", "")
    for index in operator.outputs:
        yield index, (str(names[0]), str(names[1]))


def _handle(operator: Operator, handles: Mapping[int, Variable], operands: int) -> Variable:
    """Return the variable that an operator reads or writes.

    Raises:
        UnsupportedError: Its operands or results are other than they should be.
    """
    results = 2 - operands
    if len(operator.inputs) != operands or len(operator.outputs) != results:
        raise UnsupportedError(
            f"it has {len(operator.inputs)} operands and {len(operator.outputs)} results, expected {operands} and "
            f"{results}"
        )
    variable = handles.get(operator.inputs[0])
    if variable is None:
        raise UnsupportedError("its first operand is no handle of a variable")
    return variable


def _initial_contents(body: Body | None) -> Mapping[Variable, TensorRecord]:
    """Return the constants that a graph which runs once writes to variables.

    Raises:
        UnsupportedError: It does anything else.
    """
    if body is None:
        raise UnsupportedError("it runs a graph that is not in the file")
    handles: dict[int, Variable] = {}
    found: dict[Variable, TensorRecord] = {}
    for operator in body.operators:
        if operator.builtin == "VAR_HANDLE":
            handles.update(_declared(operator))
        elif operator.builtin == "ASSIGN_VARIABLE":
            variable, index = _handle(operator, handles, 2), operator.inputs[1]
            if not 0 <= index < len(body.tensors) or body.tensors[index].content is None:
                raise UnsupportedError(f"the graph that it runs writes no constant to variable {_text(variable)!r}")
            found[variable] = body.tensors[index]
        else:
            raise UnsupportedError(f"the graph that it runs has {operator.where}, only variables can be set up there")
    return found


def _number_throughout(variable: Variable, initial: TensorRecord) -> float:
    """Return the real number that every element of a variable is at first.

    Raises:
        UnsupportedError: They differ.
    """
    constant = read_constant(initial)
    codes = np.unique(constant.array)
    if len(codes) != 1:
        raise UnsupportedError(
            f"variable {_text(variable)!r} starts with {len(codes)} different numbers",
            "states that start at one number throughout can be imported",
        )
    quantization = element_of(initial).quantization
    return float(codes[0] if quantization is None else quantization.dequantize(codes)[0])
