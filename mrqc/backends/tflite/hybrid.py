"""Floats that meet weights of 8-bit codes, as TFLite's converter makes them to save space.

The runtime rounds such a layer's input to 8 bits while it runs; the import keeps to the real numbers, with the weights
behind an ``nn.dequantize``. A module that came from TFLite goes back as what it was. One that came from elsewhere is
written as it says: there the runtime would round what the module does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

from mrqc.ir import GraphBuilder, Module, Statement, Value, rewrite, without_dead_statements
from mrqc.ops import nn

_LAYERS = (nn.Conv2D, nn.TransposeConv2D, nn.FullyConnected)


def has_asymmetric_inputs(module: Module) -> bool:
    """Return whether the runtime is to round the inputs of such layers with a zero point, as the module's file says."""
    return module.fact("hybrid") == "asymmetric"


def with_codes_as_weights(module: Module) -> Module:
    """Return a module from TFLite with the codes themselves as weights of its float layers; others as they are."""
    if module.fact("format") != "tflite":
        return module
    definitions = module.graph.definitions

    def rule(statement: Statement, builder: GraphBuilder) -> Sequence[Value] | None:
        op = statement.op
        if not isinstance(op, _LAYERS):
            return None
        source = definitions.get(op.weight)
        if source is None or not isinstance(source.op, nn.Dequantize):
            return None
        return (
            builder.emit(cast(Any, replace(op, weight=source.op.input)), statement.location, statement.result.name),
        )

    return without_dead_statements(rewrite(module, rule))
