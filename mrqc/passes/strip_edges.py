"""``strip-edges``: let the module begin and end with codes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mrqc.analysis.scale_groups import state_edges
from mrqc.ir.graph import Module, Output, Statement
from mrqc.ir.op import Op, Value
from mrqc.ir.rewrite import GraphBuilder, without_dead_statements
from mrqc.ir.types import Element
from mrqc.ops import nn
from mrqc.passes.definition import Exactness, Pass


@dataclass(frozen=True)
class StripEdges(Pass):
    """Take a quantize at an input and a dequantize at an output out of the module; the host does both.

    An input whose float value is quantized to more than one scheme stays as it is. A transpose between a float
    input and its quantize moves behind it. A state begins and ends with the same codes, or stays float.
    """

    name: ClassVar[str] = "strip-edges"
    summary: ClassVar[str] = "drop the quantize at float inputs and the dequantize at float outputs"
    exactness: ClassVar[Exactness] = "lossy"

    def __call__(self, module: Module) -> Module:
        """Return the module over codes."""
        graph = module.graph
        inputs = {value.name: value for value in graph.inputs}
        floats = _float_states(module)
        elements = {
            value: element
            for value in graph.inputs
            if value not in floats and (element := _entry_element(module, value))
        }
        builder = GraphBuilder(value.name for value in graph.values())
        for value in graph.inputs:
            element = elements.get(value)
            new = Value(value.name, value.type.with_element(element)) if element else value
            builder.adopt_input(new)
            if new != value:
                builder.bind(value, new)
        for statement in graph.statements:
            op = statement.op.map_operands(builder.lookup)
            if isinstance(op, nn.Quantize) and op.input.type.element == op.element:
                builder.bind(statement.result, op.input)
                continue
            results = _retyped(statement, op)
            builder.append(Statement(results, op, statement.location))
            for old, new in zip(statement.results, results, strict=True):
                if old != new:
                    builder.bind(old, new)
        kept = {state.output for state in module.states if inputs[state.input] in floats}
        outputs = [
            output if output.name in kept else Output(output.name, _exit_value(module, output.value))
            for output in graph.outputs
        ]
        return without_dead_statements(module.with_graph(builder.finish(outputs)))


def _float_states(module: Module) -> set[Value]:
    """Return the states that are quantized in another way at one end of the module than at the other."""
    return {
        value
        for value, following in state_edges(module)
        if (_entry_element(module, value) or value.type.element) != _exit_value(module, following).type.element
    }


def _retyped(statement: Statement, op: Op) -> tuple[Value, ...]:
    return tuple(Value(old.name, type_) for old, type_ in zip(statement.results, op.infer(), strict=True))


def _entry_element(module: Module, value: Value) -> Element | None:
    """Return the one element that a float input is quantized to, directly or behind moves, or None."""
    if value.type.element.is_quantized or value in module.graph.output_values:
        return None
    found: set[Element | None] = set()
    for user in module.graph.uses.get(value, ()):
        if isinstance(user.op, nn.Quantize):
            found.add(user.op.element)
        elif isinstance(user.op, nn.Transpose | nn.Reshape):
            found.add(_entry_element(module, user.result))
        else:
            found.add(None)
    return found.pop() if len(found) == 1 else None


def _exit_value(module: Module, value: Value) -> Value:
    """Return the codes behind a float output, looking through a dequantize; other values as they are."""
    definition = module.graph.definitions.get(value)
    if definition is not None and isinstance(definition.op, nn.Dequantize):
        return definition.op.input
    return value
