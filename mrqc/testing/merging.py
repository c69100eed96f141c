"""Several modules as one, since starting a C compiler takes longer than most checks of a small module."""

from __future__ import annotations

from collections.abc import Sequence

from mrqc.ir import Graph, Module, Output, Statement, Value


def side_by_side(modules: Sequence[Module]) -> Module:
    """Return one module that computes what all of ``modules`` do.

    Inputs, values and outputs are named ``<index>_<name>``. Fed with the inputs of the modules, each repeated to the
    same number of batches, it gives the outputs of the modules.
    """
    inputs: list[Value] = []
    statements: list[Statement] = []
    outputs: list[Output] = []
    for index, module in enumerate(modules):
        renamed = {value: Value(f"{index}_{value.name}", value.type) for value in module.graph.values()}
        inputs += [renamed[value] for value in module.graph.inputs]
        statements += [
            Statement(
                tuple(renamed[result] for result in statement.results),
                statement.op.map_operands(renamed.__getitem__),
                statement.location,
            )
            for statement in module.graph.statements
        ]
        outputs += [Output(f"{index}_{output.name}", renamed[output.value]) for output in module.graph.outputs]
    return Module("side_by_side", Graph(tuple(inputs), tuple(statements), tuple(outputs)))
