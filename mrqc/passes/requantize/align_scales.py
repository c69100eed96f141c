"""``align-scales``: every scale becomes a label that the target or a file can have, and no code changes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, cast

import numpy as np
from numpy.typing import ArrayLike

from mrqc.analysis.scale_groups import state_edges
from mrqc.ir.graph import Module, Output, State, Statement
from mrqc.ir.op import Op, Value
from mrqc.ir.quantization import Quantization
from mrqc.ir.rewrite import GraphBuilder, without_dead_statements
from mrqc.ir.types import Element
from mrqc.ops import nn
from mrqc.passes.definition import Exactness, Pass
from mrqc.passes.requantize.form import Layer, Real, constant_of, host_results, scale_of
from mrqc.passes.requantize.labels import is_homogeneous
from mrqc.passes.requantize.short_labels import multiple_near, short_labels
from mrqc.targets import Target

_NOMINAL = 2.0**-9
"""So far may the label of an input or output be from its scale to stand for it: no byte's code is half a code off."""


@dataclass(frozen=True)
class AlignScales(Pass):
    """Read every tensor as c times itself, so that ratios of scales are powers of two in single precision as well.

    Where all multipliers are powers of two already, layers only need other labels on their weights, and clamps stay
    the same codes. On a target whose scales are powers of two each label is the nearest one, and relabellings at inputs
    and outputs keep the true scales for the host. On others that only shift, labels have short mantissas
    (``short_labels``); inputs and outputs keep their scales but for a 2^12th, or a 2^9th where means meet them. Nothing
    changes on a target with multipliers (scale alignment; docs/requantization.md equation 13; decision 0013).

    Attributes:
        target: Whether its scales are powers of two, or it only shifts.
        io: As ``symmetrize`` has it; inputs and outputs in the scheme of the original keep every bit of their scales.
    """

    name: ClassVar[str] = "align-scales"
    summary: ClassVar[str] = "label tensors so that ratios of scales are exact, where the target only shifts"
    exactness: ClassVar[Exactness] = "lossy"
    target: Target
    io: Literal["target", "original"] = "target"

    def __call__(self, module: Module) -> Module:
        """Return the module with the same codes at other scales."""
        if self.target.activation.only_powers_of_two:
            return _Alignment(module, _powers_of_two(module), 0.0).run()
        if not self.target.requantize.only_shifts or not _is_rounded(module):
            return module
        nominal = 0.0 if self.io == "original" else _NOMINAL
        return _Alignment(module, short_labels(module, self.target), nominal).run()


class _Alignment:
    def __init__(self, module: Module, labels: Mapping[Value, float], nominal: float) -> None:
        self._module = module
        self._labels = labels
        self._nominal = nominal
        self._builder = GraphBuilder(value.name for value in module.graph.values())
        self._factors: dict[Value, float] = {}
        self._host_results = host_results(module)
        # States in the scheme of the original are inputs and outputs of the host like others.
        edges = [edge for edge in state_edges(module) if edge[1] not in self._host_results]
        self._states = {value for value, _ in edges}
        kept = {value.name for value in self._states}
        self._next_states = {state.output for state in module.states if state.input in kept}

    def run(self) -> Module:
        graph, builder = self._module.graph, self._builder
        for value in graph.inputs:
            new = replace(value, type=value.type.with_element(self._labelled(value))) if self._keeps(value) else value
            builder.adopt_input(new)
            self._bind(value, new)
        for statement in graph.statements:
            self._align(statement)
        outputs = [Output(output.name, self._leaving(output)) for output in graph.outputs]
        aligned = replace(self._module.with_graph(builder.finish(outputs)), states=self._relabelled_states())
        return without_dead_statements(aligned)

    def _relabelled_states(self) -> tuple[State, ...]:
        """Return the states, each beginning with the code that it begins with now."""
        factors = {value.name: self._label_factor(value) for value in self._states}
        return tuple(
            replace(state, initial=state.initial * factors.get(state.input, 1.0)) for state in self._module.states
        )

    def _factor(self, value: Value) -> float:
        """Return what a value is multiplied by in the new module."""
        return self._factors.get(value, 1.0)

    def _labelled(self, value: Value) -> Element:
        """Return the element of a value at its label."""
        element = value.type.element
        quantization = element.quantization
        if value not in self._labels or quantization is None:
            return element
        return Element(element.dtype, Quantization.per_tensor(self._labels[value], quantization.zero_point))

    def _keeps(self, value: Value) -> bool:
        """Whether the label of an input or output is near enough to its scale to stand for it; nobody reads states."""
        if value in self._states:
            return True
        return value in self._labels and abs(self._labels[value] / scale_of(value.type.element) - 1.0) <= self._nominal

    def _leaving(self, output: Output) -> Value:
        """Return an output at its label if that is its scale, else behind a relabelling by a number with few bits."""
        value, old = self._builder.lookup(output.value), output.value
        if output.name in self._next_states or old not in self._factors or old not in self._labels:
            return value
        if self._keeps(old):
            return value
        scale = scale_of(old.type.element)
        near = multiple_near(self._labels[old], scale)
        return self._read(value, _at(old, near if abs(near / scale - 1.0) <= self._nominal else scale), output.name)

    def _read(self, value: Value, element: Element, name: str | None = None) -> Value:
        """Return the codes of a value at another label."""
        if value.type.element == element or not element.is_quantized:
            return value
        factor = scale_of(element) / scale_of(value.type.element)
        return self._builder.emit(nn.Relabel(value, (factor,)), name=f"{name or value.name}_label")

    def _bind(self, old: Value, new: Value) -> None:
        """Let a new value, the old one times some factor, stand for it: at its label from here on."""
        if old in self._labels:
            self._factors[old] = self._labels[old] / scale_of(old.type.element)
            new = self._read(new, self._labelled(old), old.name)
        self._builder.bind(old, new)

    def _align(self, statement: Statement) -> None:
        op, old, builder = statement.op, statement.result, self._builder
        if isinstance(op, nn.Constant):
            # Activations get their label where they are used; weights and biases belong to a layer each.
            builder.append(statement)
        elif isinstance(op, Layer):
            self._emit(self._layer(op, old), statement)
        elif isinstance(op, nn.Quantize):
            value = self._read(builder.lookup(op.input), op.input.type.element, old.name)
            self._emit(replace(op, input=value), statement)
        elif isinstance(op, nn.Softmax):
            beta = op.beta / self._factor(op.input)
            self._emit(replace(op, input=builder.lookup(op.input), beta=beta), statement)
        elif is_homogeneous(op) and all(_has_one_scale(value) for value in (*op.operands, old)):
            self._emit(self._scaled(op, old), statement)
        elif isinstance(op, nn.ArgMax):
            self._emit(op.map_operands(self._operand), statement)
        else:
            # A function of its operands is one of their true values.
            self._emit(op.map_operands(lambda value: self._read(self._operand(value), value.type.element)), statement)

    def _operand(self, value: Value) -> Value:
        """Return an operand at its label; a constant is written anew."""
        definition = self._module.graph.definitions.get(value)
        if value in self._labels and definition is not None and isinstance(definition.op, nn.Constant):
            constant = nn.Constant(definition.op.value, self._labelled(value))
            return self._builder.emit(constant, definition.location, f"{value.name}_label")
        return self._builder.lookup(value)

    def _emit(self, op: Op, statement: Statement) -> None:
        old = statement.result
        new = replace(old, type=op.infer()[0])
        self._builder.append(Statement((new,), op, statement.location))
        if old.type.element.is_quantized and old not in self._host_results:
            self._bind(old, new)
        else:
            self._builder.bind(old, new)

    def _scaled(self, op: Op, old: Value) -> Op:
        """Return an op whose operands are multiplied by one factor, and so its result."""
        factors = {operand: self._label_factor(operand) for operand in op.operands}
        factor = next(iter(factors.values()))

        def operand(value: Value) -> Value:
            new, scale = self._operand(value), factor * scale_of(value.type.element)
            return new if _agree(factors[value], factor) else self._read(new, _at(value, scale), value.name)

        changes: dict[str, Any] = {}
        scale = factor * scale_of(old.type.element)
        label = self._labels.get(old, scale)
        element = _at(old, label if _agree(label, scale) else scale)
        if hasattr(op, "element"):
            changes["element"] = element
        if hasattr(op, "clamp"):
            changes["clamp"] = tuple(_same_code(end, old.type.element, element) for end in cast(Any, op).clamp)
        if isinstance(op, nn.Relabel) and old in self._labels:
            changes["factors"] = (self._labels[old] / scale_of(self._builder.lookup(op.input).type.element),)
        if isinstance(op, nn.Pad):
            changes["value"] = _same_code(op.value, old.type.element, element)
        return replace(cast(Any, op.map_operands(operand)), **changes)

    def _label_factor(self, value: Value) -> float:
        return self._labels[value] / scale_of(value.type.element) if value in self._labels else 1.0

    def _layer(self, op: Layer, old: Value) -> Op:
        """Return a layer whose weights and bias take up the labels around it."""
        value, element = self._builder.lookup(op.input), self._labelled(old)
        weight, bias = _parameter_scales(op, scale_of(value.type.element), scale_of(element))
        parameters = [
            self._builder.emit(
                nn.Constant(constant_of(self._module.graph.definitions[parameter]), _along(parameter, scales)),
                self._module.graph.definitions[parameter].location,
                f"{parameter.name}_label",
            )
            for parameter, scales in ((op.weight, weight), (op.bias, bias))
            if parameter is not None
        ]
        clamp = (_same_code(op.clamp[0], op.element, element), _same_code(op.clamp[1], op.element, element))
        return replace(op, input=value, weight=parameters[0], bias=(*parameters, None)[1], clamp=clamp, element=element)


def _powers_of_two(module: Module) -> dict[Value, float]:
    """Return the nearest power of two for each activation."""
    return {
        value: 2.0 ** math.floor(math.log2(value.type.quantization.scale) + 0.5 + 1e-9)
        # Scales an octave apart must not fall on two sides of a tie.
        for value in module.graph.values()
        if value.type.quantization is not None and value.type.quantization.is_per_tensor
    }


def _is_rounded(module: Module) -> bool:
    """Whether all weights and biases are constants of codes: what is still to be rounded has no label yet."""
    definitions = module.graph.definitions
    parameters = [
        parameter
        for statement in module.graph.statements
        if isinstance(statement.op, Layer)
        for parameter in (statement.op.weight, statement.op.bias)
        if parameter is not None
    ]
    return all(
        parameter in definitions
        and isinstance(definitions[parameter].op, nn.Constant)
        and parameter.type.element.is_quantized
        for parameter in parameters
    )


def _parameter_scales(op: Layer, before: float, after: float) -> tuple[Real, Real]:
    """Return the scales of weights and bias of a layer between two labels; exact where the labels' ratio is."""
    weight, bias = op.weight.type.quantization, None if op.bias is None else op.bias.type.quantization
    assert weight is not None
    sums = scale_of(op.input.type.element) * np.asarray(weight.scales)
    new = _snapped(sums / scale_of(op.element)) * (after / before)
    if bias is None:
        return new, np.empty(0)
    old = np.asarray(bias.scales)
    if len(old) != len(new):
        return new, old * (after / scale_of(op.element))
    return new, _snapped(old / sums) * (before * new)


def _snapped(ratios: Real) -> Real:
    """Return ratios as the powers of two that they are meant to be, the others as they are."""
    exact = np.exp2(np.rint(np.log2(ratios)))
    return np.where(np.abs(ratios / exact - 1.0) < 1e-9, exact, ratios)


def _has_one_scale(value: Value) -> bool:
    return value.type.quantization is not None and value.type.quantization.is_per_tensor


def _agree(first: float, second: float) -> bool:
    return abs(first / second - 1.0) < 1e-9


def _at(value: Value, scale: float) -> Element:
    """Return the element of an activation at another scale."""
    element = value.type.element
    assert element.quantization is not None
    return Element(element.dtype, Quantization.per_tensor(scale, element.quantization.zero_point))


def _along(parameter: Value, scales: ArrayLike) -> Element:
    """Return the element of weights or a bias at other scales."""
    element = parameter.type.element
    assert element.quantization is not None
    numbers = tuple(float(scale) for scale in np.asarray(scales))
    return Element(element.dtype, replace(element.quantization, scales=numbers))


def _same_code(real: float, old: Element, new: Element) -> float:
    """Return the real number that has the code at a new label that a number has at the old one."""
    quantization = old.quantization
    if quantization is None or not math.isfinite(real) or old == new:
        return real
    code = int(quantization.quantize(np.array([real]), old.dtype.minimum, old.dtype.maximum)[0])
    return (code - quantization.zero_point) * scale_of(new)
