"""``keep-weights``: weights as the file has them, whatever the target can hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mrqc.ir.graph import Module, Statement
from mrqc.ir.rewrite import GraphBuilder, without_dead_statements
from mrqc.passes.definition import Exactness, Pass
from mrqc.passes.requantize.form import layers_of


@dataclass(frozen=True)
class KeepWeights(Pass):
    """Take back the rounding of weights to the target's element: what a module loses by its activations alone.

    A control for ``mrqc ablate``. The result runs over the reals; a target of another scheme refuses it.
    """

    name: ClassVar[str] = "keep-weights"
    summary: ClassVar[str] = "leave weights as the file has them, to see what activations alone lose"
    exactness: ClassVar[Exactness] = "lossy"

    def __call__(self, module: Module) -> Module:
        """Return the module with layers that use the constants in front of their rounding."""
        roundings = {layer.rounding.result: layer.source.result for layer in layers_of(module) if layer.rounding}
        layers = {layer.name for layer in layers_of(module)}
        builder = GraphBuilder(value.name for value in module.graph.values())
        for value in module.graph.inputs:
            builder.adopt_input(value)
        for statement in module.graph.statements:
            op = statement.op
            if statement.result.name in layers:
                op = op.map_operands(lambda value: roundings.get(value, value))
            builder.append(Statement(statement.results, op, statement.location))
        return without_dead_statements(module.with_graph(builder.finish(module.graph.outputs)))
