"""``align-scales``: every scale becomes a power of two, and no code changes."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, ClassVar, cast

import numpy as np

from mrqc.ir.graph import Module, Output, Statement
from mrqc.ir.op import Op, Value
from mrqc.ir.quantization import Quantization
from mrqc.ir.rewrite import GraphBuilder, without_dead_statements
from mrqc.ir.types import Element
from mrqc.ops import nn
from mrqc.passes.definition import Exactness, Pass
from mrqc.passes.requantize.form import Layer, constant_of
from mrqc.passes.requantize.labels import is_homogeneous
from mrqc.targets import Target


@dataclass(frozen=True)
class AlignScales(Pass):
    """Read every tensor as c times itself, so that its scale is the nearest power of two.

    Where all multipliers are powers of two already, layers only need other labels on their weights, clamps stay the
    same codes, and relabellings at inputs and outputs keep the true scales for the host. Nothing changes on a target
    that takes any scale (scale alignment; docs/requantization.md equation 13).

    Attributes:
        target: Whether its scales are powers of two.
    """

    name: ClassVar[str] = "align-scales"
    summary: ClassVar[str] = "label every tensor with a power of two, where the target needs it"
    exactness: ClassVar[Exactness] = "lossy"
    target: Target

    def __call__(self, module: Module) -> Module:
        """Return the module with scales that are powers of two."""
        return _Alignment(module).run() if self.target.activation.only_powers_of_two else module


class _Alignment:
    def __init__(self, module: Module) -> None:
        self._module = module
        self._builder = GraphBuilder(value.name for value in module.graph.values())
        self._factors: dict[Value, float] = {}

    def run(self) -> Module:
        graph, builder = self._module.graph, self._builder
        for value in graph.inputs:
            builder.adopt_input(value)
            self._bind(value, value, 1.0)
        for statement in graph.statements:
            self._align(statement)
        outputs = [
            Output(output.name, self._read(builder.lookup(output.value), 1.0 / self._factor(output.value), output.name))
            for output in graph.outputs
        ]
        return without_dead_statements(self._module.with_graph(builder.finish(outputs)))

    def _factor(self, value: Value) -> float:
        """Return what a value is multiplied by in the new module."""
        return self._factors.get(value, 1.0)

    def _read(self, value: Value, factor: float, name: str | None = None) -> Value:
        """Return the codes of a value at another label."""
        if factor == 1.0:
            return value
        return self._builder.emit(nn.Relabel(value, (_exact(value, factor),)), name=f"{name or value.name}_label")

    def _bind(self, old: Value, new: Value, factor: float) -> None:
        """Let a new value, ``factor`` times the old one, stand for it: at a power of two from here on."""
        wanted = _alignment(old)
        self._factors[old] = wanted
        self._builder.bind(old, self._read(new, wanted / factor, old.name))

    def _align(self, statement: Statement) -> None:
        op, old, builder = statement.op, statement.result, self._builder
        if isinstance(op, nn.Constant):
            # Activations get their label where they are used; weights and biases belong to a layer each.
            builder.append(statement)
            return
        if isinstance(op, Layer):
            self._emit(self._layer(op, old), statement, _alignment(old))
            return
        factor = self._operand_factor(op)
        if isinstance(op, nn.Quantize):
            value = self._read(builder.lookup(op.input), 1.0 / self._factor(op.input), old.name)
            self._emit(replace(op, input=value), statement, 1.0)
        elif isinstance(op, nn.Softmax):
            self._emit(replace(op, input=builder.lookup(op.input), beta=op.beta / factor), statement, 1.0)
        elif is_homogeneous(op):
            self._emit(self._scaled(op.map_operands(self._operand), old, factor), statement, factor)
        else:
            self._emit(op.map_operands(self._operand), statement, 1.0)

    def _operand(self, value: Value) -> Value:
        """Return an operand at its label; a constant has it by a relabelling of its own."""
        definition = self._module.graph.definitions.get(value)
        if definition is not None and isinstance(definition.op, nn.Constant) and value.type.element.is_quantized:
            return self._read(value, _alignment(value), value.name)
        return self._builder.lookup(value)

    def _operand_factor(self, op: Op) -> float:
        factors = [self._factors[operand] for operand in op.operands if operand in self._factors]
        return factors[0] if factors else 1.0

    def _emit(self, op: Op, statement: Statement, factor: float) -> None:
        old = statement.result
        new = replace(old, type=op.infer()[0])
        self._builder.append(Statement((new,), op, statement.location))
        if old.type.element.is_quantized:
            self._bind(old, new, factor)
        else:
            self._builder.bind(old, new)

    def _scaled(self, op: Op, old: Value, factor: float) -> Op:
        """Return an op whose operands and result are multiplied by a factor."""
        changes: dict[str, Any] = {}
        if hasattr(op, "element"):
            changes["element"] = _times(old.type.element, factor)
        if hasattr(op, "clamp"):
            clamp: tuple[float, float] = cast(Any, op).clamp
            changes["clamp"] = (clamp[0] * factor, clamp[1] * factor)
        if isinstance(op, nn.Pad):
            changes["value"] = op.value * factor
        return replace(cast(Any, op), **changes)

    def _layer(self, op: Layer, old: Value) -> Op:
        """Return a layer whose weights and bias take up the labels around it."""
        definitions = self._module.graph.definitions
        before, after = self._factor(op.input), _alignment(old)
        assert op.bias is not None
        weight, bias = (
            self._builder.emit(
                nn.Constant(constant_of(definitions[value]), _times(value.type.element, factor)),
                definitions[value].location,
                f"{value.name}_label",
            )
            for value, factor in ((op.weight, after / before), (op.bias, after))
        )
        clamp = (op.clamp[0] * after, op.clamp[1] * after)
        element = _times(op.element, after)
        return replace(op, input=self._builder.lookup(op.input), weight=weight, bias=bias, clamp=clamp, element=element)


def _exact(value: Value, factor: float) -> float:
    """Return the factor that gives the power of two exactly which is meant, if one is: products are rounded."""
    quantization = value.type.quantization
    assert quantization is not None
    wanted = 2.0 ** round(math.log2(quantization.scale * factor))
    if abs(quantization.scale * factor / wanted - 1.0) > 1e-9:
        return factor
    factor = wanted / quantization.scale
    neighbours = (factor, np.nextafter(factor, 0.0), np.nextafter(factor, math.inf))
    return next((float(near) for near in neighbours if quantization.scale * near == wanted), factor)


def _alignment(value: Value) -> float:
    """Return the factor that brings the scale of an activation to the nearest power of two."""
    quantization = value.type.quantization
    if quantization is None or not quantization.is_per_tensor:
        return 1.0
    # Scales an octave apart must not fall on two sides of a tie.
    exponent = math.floor(math.log2(quantization.scale) + 0.5 + 1e-9)
    return 2.0**exponent / quantization.scale


def _times(element: Element, factor: float) -> Element:
    """Return an element of the same codes at scales times a factor, on the power of two that this is meant to be."""
    quantization = element.quantization
    assert quantization is not None
    scales = np.asarray(quantization.scales) * factor
    exact = np.exp2(np.rint(np.log2(scales)))
    scales = np.where(np.abs(scales / exact - 1.0) < 1e-9, exact, scales)
    return Element(
        element.dtype,
        Quantization(tuple(float(scale) for scale in scales), quantization.zero_points, quantization.axis),
    )
