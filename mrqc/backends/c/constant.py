"""Constants, and what follows from constants alone."""

from __future__ import annotations

from mrqc.backends.c.calls import C_RULES, Facts
from mrqc.ir import Data, Graph, Statement, Value
from mrqc.ops.int import Constant, Relabel, Reshape, Transpose


@C_RULES.register(Constant)
def constant(statement: Statement, facts: Facts) -> None:
    """Return no call: constants are written out where a layer needs them."""
    del statement, facts


def constant_values(graph: Graph) -> dict[Value, Data]:
    """Return the elements of each constant, and of the reshapes, transposes and relabellings of constants."""
    found: dict[Value, Data] = {}
    for statement in graph.statements:
        match statement.op:
            case Constant(value=data):
                found[statement.result] = data
            case Reshape(input=operand, shape=shape) if operand in found:
                found[statement.result] = Data(found[operand].array.reshape(shape))
            case Relabel(input=operand) if operand in found:
                found[statement.result] = found[operand]
            case Transpose(input=operand, permutation=permutation) if operand in found:
                found[statement.result] = Data(found[operand].array.transpose(permutation))
            case _:
                pass
    return found
