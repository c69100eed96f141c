"""The statements that re-quantization needs: explicit clamps, conversions at the edges, weights behind a rounding."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any, Literal, cast

import numpy as np

from mrqc.ir.graph import Module, Output, Statement
from mrqc.ir.op import Op, Value
from mrqc.ir.rewrite import GraphBuilder, without_dead_statements
from mrqc.ops import nn
from mrqc.passes.requantize.activations import ActivationRange, activation_ranges
from mrqc.passes.requantize.form import Layer, float_constant

QUANTIZED = "quantized"
"""Behind the name of a constant or of an edge: the same in the target's scheme."""


def restructured(module: Module, io: Literal["target", "original"], pads: Collection[str] = frozenset()) -> Module:
    """Return the module in the form of re-quantization, every element still as it was.

    - The real range of every result, ReLU clamps that a zero point gave for free included, is an explicit clamp.
    - A quantize between two scales is a clip: its input and its result will share one scale.
    - A mean or a sum, which have no clamp, stand before a clip, because the old codes saturated.
    - Constants stand before a quantize, and weights before one for each layer. Biases stay as they are, but no two
      layers share one.
    - With ``io`` original, inputs and outputs keep their elements, and quantizes stand between them and the rest.
    - The convolutions named in ``pads`` have a pad in front in place of their own padding.
    """
    return _Restructuring(module, pads).run(io)


def padded_convolutions(module: Module) -> frozenset[str]:
    """Return the names of the results of convolutions with padding."""
    return frozenset(
        statement.result.name
        for statement in module.graph.statements
        if isinstance(statement.op, nn.Conv2D) and min(statement.op.padding) >= 0 < max(statement.op.padding)
    )


class _Restructuring:
    def __init__(self, module: Module, pads: Collection[str]) -> None:
        self._module = module
        self._pads = pads
        self._padded: dict[tuple[Value, tuple[int, ...]], Value] = {}
        self._ranges = activation_ranges(module)
        self._builder = GraphBuilder(value.name for value in module.graph.values())
        self._only_layers_use = _parameters(module)

    def run(self, io: Literal["target", "original"]) -> Module:
        graph, builder = self._module.graph, self._builder
        for value in graph.inputs:
            builder.adopt_input(value)
        if io == "original":
            for value in graph.inputs:
                builder.bind(value, self._quantized(value, value))
        for statement in graph.statements:
            self._restructure(statement)
        outputs: list[Output] = []
        for output in graph.outputs:
            value = builder.lookup(output.value)
            if io == "original" and value.type.element.is_quantized:
                value = builder.emit(nn.Quantize(value, output.value.type.element), name=f"{output.name}_original")
            outputs.append(Output(output.name, value))
        return without_dead_statements(self._module.with_graph(builder.finish(outputs)))

    def _quantized(self, value: Value, old: Value, statement: Statement | None = None) -> Value:
        op = nn.Quantize(value, old.type.element)
        location = {} if statement is None else {"location": statement.location}
        return self._builder.emit(op, name=f"{old.name}_{QUANTIZED}", **location)

    def _pad(self, op: nn.Conv2D, statement: Statement) -> Value:
        """Return the input of a convolution with its padding around it, one for all that have the same."""
        top, left, bottom, right = op.padding
        key = (op.input, op.padding)
        if key not in self._padded:
            pad = nn.Pad(op.input, (0, 0, top, bottom, left, right, 0, 0), 0.0)
            self._padded[key] = self._builder.emit(pad, statement.location, f"{op.input.name}_padded")
        return self._padded[key]

    def _own_weight(self, weight: Value) -> Value:
        """Return the rounding of a layer's weights; another layer may have the same weights at another scale."""
        return self._quantized(weight, weight, self._module.graph.definitions[weight])

    def _own_bias(self, layer: Layer, statement: Statement) -> Value:
        """Return a constant that is the bias of one layer only, zeros where it has none."""
        if layer.bias is None:
            constant = float_constant(np.zeros(statement.result.type.shape[-1]))
        elif layer.bias in self._only_layers_use and len(self._module.graph.uses[layer.bias]) == 1:
            return layer.bias
        else:
            constant = self._module.graph.definitions[layer.bias].op
        return self._builder.emit(constant, statement.location, f"{statement.result.name}_bias")

    def _restructure(self, statement: Statement) -> None:
        source, old, builder = statement.op, statement.result, self._builder
        if isinstance(source, nn.Constant):
            builder.append(statement)
            if old not in self._only_layers_use and old.type.element.is_quantized:
                builder.bind(old, self._quantized(old, old, statement))
            return
        op = source.map_operands(builder.lookup)
        if isinstance(source, Layer):
            op = replace(
                cast(Layer, op), weight=self._own_weight(source.weight), bias=self._own_bias(source, statement)
            )
            if isinstance(op, nn.Conv2D) and old.name in self._pads:
                op = replace(op, input=self._pad(op, statement), padding=(0, 0, 0, 0))
        if not old.type.element.is_quantized:
            builder.append(Statement((replace(old, type=op.infer()[0]),), op, statement.location))
            return
        clamp = self._clamp(source, old)
        if isinstance(op, nn.Quantize):
            op = nn.Clip(op.input, clamp, op.element)
        elif isinstance(op, nn.Mean | nn.Sum):
            # They have no clamp of their own, and the old codes saturated where the new ones may not.
            inner = builder.emit(op, statement.location, f"{old.name}_sum")
            op = nn.Clip(inner, clamp, op.element)
        elif hasattr(op, "clamp"):
            op = replace(cast(Any, op), clamp=clamp)
        builder.append(Statement((replace(old, type=op.infer()[0]),), op, statement.location))

    def _clamp(self, op: Op, result: Value) -> tuple[float, float]:
        """Return the real range that the old result had, or no clamp where codes pass through and have it already."""
        range_ = self._ranges.get(result, ActivationRange(*nn.UNBOUNDED))
        if isinstance(op, nn.Clip | nn.MaxPool2D | nn.Quantize):
            source = self._ranges[op.input]
            if range_.low <= source.low and source.high <= range_.high:
                return nn.UNBOUNDED
        return (range_.low, range_.high)


def _parameters(module: Module) -> frozenset[Value]:
    """Return the constants that nothing but layers use, as weights or biases."""
    users = [(operand, s.op) for s in module.graph.statements for operand in s.op.operands]
    others = {operand for operand, op in users if not isinstance(op, Layer) or operand == op.input}
    return frozenset({operand for operand, _ in users} - others - set(module.graph.output_values))


def rounded_constants(module: Module) -> dict[str, Statement]:
    """Return, by name, each quantize of a constant and the constant's statement."""
    definitions = module.graph.definitions
    found: dict[str, Statement] = {}
    for statement in module.graph.statements:
        if isinstance(statement.op, nn.Quantize):
            source = definitions.get(statement.op.input)
            if source is not None and isinstance(source.op, nn.Constant):
                found[statement.result.name] = source
    return found
