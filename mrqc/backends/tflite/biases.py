"""Constants that are added to a matrix product of floats, as the bias that TFLite's operator takes.

ONNX has the product and the sum as two nodes, and the import keeps them, since a runtime may add up in another order. A
file from TFLite had the choice, so a module from there goes back as it came.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mrqc.ir import FLOAT, GraphBuilder, Module, Op, Statement, Value, rewrite, without_dead_statements
from mrqc.ops import nn


def with_sums_as_biases(module: Module) -> Module:
    """Return a module from elsewhere with a bias in place of each such sum; one from TFLite as it is."""
    if module.fact("format") == "tflite":
        return module
    graph = module.graph

    def rule(statement: Statement, builder: GraphBuilder) -> Sequence[Value] | None:
        op = statement.op
        # Only floats are looked at, whose values are the same before and after.
        if not isinstance(op, nn.Add) or op.element != FLOAT:
            return None
        source, added = graph.definitions.get(op.lhs), graph.definitions.get(op.rhs)
        if source is None or added is None or not isinstance(added.op, nn.Constant):
            return None
        layer = source.op
        is_only_use = len(graph.uses[op.lhs]) == 1 and op.lhs not in graph.output_values
        if not is_only_use or not _takes_bias(layer, op.rhs):
            return None
        assert isinstance(layer, nn.FullyConnected)
        fused = replace(layer.map_operands(builder.lookup), bias=op.rhs, clamp=op.clamp)
        return (builder.emit(fused, source.location.merge(statement.location), statement.result.name),)

    return without_dead_statements(rewrite(module, rule))


def _takes_bias(op: Op, bias: Value) -> bool:
    return (
        isinstance(op, nn.FullyConnected)
        and op.bias is None
        and op.clamp == nn.UNBOUNDED
        and op.element == FLOAT
        and bias.type.element == FLOAT
        and bias.type.shape == op.output_shape[1:]
    )
