"""The form in which a module is re-quantized: real weights, and behind them the grid that they are rounded to.

Between ``symmetrize`` and ``round-weights`` a layer's weights are two statements: a constant that holds them as the
file does (or as real numbers, once a pass has moved them), and an ``nn.quantize`` to the target's element, which says
at which scale they will be rounded. Biases keep their file's own scale or are real numbers. So no pass rounds what an
earlier one has rounded.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from mrqc.ir.data import Data
from mrqc.ir.graph import Module, Statement
from mrqc.ir.op import Op, Value
from mrqc.ir.quantization import Quantization
from mrqc.ir.rewrite import GraphBuilder
from mrqc.ir.types import FLOAT, Element
from mrqc.ops import nn
from mrqc.passes.requantize.weights import WeightGrid

Layer: TypeAlias = nn.Conv2D | nn.TransposeConv2D | nn.FullyConnected
"""Ops with constant weights, output channels first."""

Real: TypeAlias = NDArray[np.float64]

OFF_GRID = 1e-3
"""Weights further than this from a code, in codes, are rounded; the others are codes already."""


@dataclass(frozen=True)
class LayerForm:
    """One layer of a module that is being re-quantized.

    Attributes:
        statement: The contraction.
        source: The constant that holds its weights before they are rounded.
        rounding: The statement that rounds them, an ``nn.quantize``; None once that is done.
        bias: The constant of its bias.
    """

    statement: Statement
    source: Statement
    rounding: Statement | None
    bias: Statement | None

    @property
    def op(self) -> Layer:
        """The contraction."""
        return cast(Layer, self.statement.op)

    @property
    def name(self) -> str:
        """The name of its result."""
        return self.statement.result.name

    @property
    def grid(self) -> WeightGrid:
        """The weights on the grid that they have, before rounding."""
        return WeightGrid.of_constant(constant_of(self.source), self.source.result.type.quantization)

    @property
    def element(self) -> Element:
        """What the weights are rounded to."""
        return self.op.weight.type.element

    @property
    def weight_scales(self) -> Real:
        """The scale that the weights are rounded to, ``[1]`` or one for each output channel."""
        quantization = self.element.quantization
        assert quantization is not None
        return np.asarray(quantization.scales)

    @property
    def input_scale(self) -> float:
        """The scale of its input."""
        return scale_of(self.op.input.type.element)

    @property
    def output_scale(self) -> float:
        """The scale of its result."""
        return scale_of(self.op.element)

    def real_weights(self) -> Real:
        """Return the real weights before rounding, ``[O, …]``."""
        return real_constant(self.source)

    def real_bias(self) -> Real:
        """Return the real bias, zeros where there is none."""
        channels = self.op.weight.type.shape[0]
        return np.zeros(channels) if self.bias is None else real_constant(self.bias)


def limits_of(layer: LayerForm) -> tuple[float, float]:
    """Return the real interval that a layer's results are confined to, by its clamp and by its codes."""
    low, high = layer.op.element.real_range
    return max(low, layer.op.clamp[0]), min(high, layer.op.clamp[1])


def scale_of(element: Element) -> float:
    """Return the one scale of a quantized element."""
    assert element.quantization is not None
    return element.quantization.scale


def have_one_scale(one: Element, other: Element) -> bool:
    """Whether two elements have the same single scale."""
    if one.quantization is None or other.quantization is None:
        return False
    if not (one.quantization.is_per_tensor and other.quantization.is_per_tensor):
        return False
    return math.isclose(one.quantization.scale, other.quantization.scale, rel_tol=1e-9)


def constant_of(statement: Statement) -> Data:
    """Return what a constant's statement holds."""
    assert isinstance(statement.op, nn.Constant)
    return statement.op.value


def real_constant(statement: Statement) -> Real:
    """Return the real values of a constant."""
    data, quantization = constant_of(statement), statement.result.type.quantization
    return data.array.astype(np.float64) if quantization is None else quantization.dequantize(data.array)


def layers_of(module: Module) -> Iterator[LayerForm]:
    """Yield the layers of a module in the form of re-quantization, in order."""
    definitions = module.graph.definitions
    for statement in module.graph.statements:
        if not isinstance(statement.op, Layer):
            continue
        weights = definitions[statement.op.weight]
        rounding = weights if isinstance(weights.op, nn.Quantize) else None
        source = definitions[weights.op.input] if isinstance(weights.op, nn.Quantize) else weights
        bias = None if statement.op.bias is None else definitions[statement.op.bias]
        yield LayerForm(statement, source, rounding, bias)


def host_results(module: Module) -> frozenset[Value]:
    """Return what conversions make for the host alone, behind everything else."""
    graph = module.graph
    return frozenset(
        statement.result
        for statement in graph.statements
        if isinstance(statement.op, nn.Quantize)
        and statement.result in graph.output_values
        and statement.result not in graph.uses
    )


@dataclass(frozen=True)
class Edits:
    """Changes of a module, by the names of the values that they concern.

    Attributes:
        elements: New elements of inputs, and of results whose op states its element.
        clamps: New clamps of results.
        constants: New constants.
    """

    elements: Mapping[str, Element] = field(default_factory=dict[str, Element])
    clamps: Mapping[str, tuple[float, float]] = field(default_factory=dict[str, tuple[float, float]])
    constants: Mapping[str, nn.Constant] = field(default_factory=dict[str, nn.Constant])


def edited(module: Module, edits: Edits) -> Module:
    """Return the module with changes; every other statement keeps its op, its operands follow."""
    graph = module.graph
    builder = GraphBuilder(value.name for value in graph.values())
    for value in graph.inputs:
        new = value
        if value.name in edits.elements:
            new = replace(value, type=value.type.with_element(edits.elements[value.name]))
        builder.adopt_input(new)
        builder.bind(value, new)
    for statement in graph.statements:
        old = statement.result
        op = _edited_op(statement.op.map_operands(builder.lookup), old.name, edits)
        new = replace(old, type=op.infer()[0])
        builder.append(Statement((new,), op, statement.location))
        builder.bind(old, new)
    return module.with_graph(builder.finish(graph.outputs))


def _edited_op(op: Op, name: str, edits: Edits) -> Op:
    if name in edits.constants:
        return edits.constants[name]
    changes: dict[str, Any] = {}
    if name in edits.elements and hasattr(op, "element"):
        changes["element"] = edits.elements[name]
    if name in edits.clamps:
        changes["clamp"] = edits.clamps[name]
    return replace(cast(Any, op), **changes) if changes else op


def along_channels(scales: Real) -> Quantization:
    """Return the symmetric quantization of weights, of one scale or one for each output channel (axis 0)."""
    if len(scales) == 1:
        return Quantization.per_tensor(float(scales[0]))
    return Quantization.per_axis([float(scale) for scale in scales], [0] * len(scales), 0)


def float_constant(real: Real) -> nn.Constant:
    """Return real numbers as a constant in single precision."""
    return nn.Constant(Data(np.ascontiguousarray(real, np.float32)), FLOAT)
