"""``requantize``: every tensor of an ``nn`` module in the target's scheme, without data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, cast

from mrqc.analysis.scale_groups import ScaleGroups, scale_groups
from mrqc.errors import Diagnostic, InputError, TargetError
from mrqc.ir.graph import Module, Output, Statement
from mrqc.ir.op import Op, Value
from mrqc.ir.rewrite import GraphBuilder, without_dead_statements
from mrqc.ir.types import Element
from mrqc.ops import nn
from mrqc.passes.definition import Exactness, Pass
from mrqc.passes.requantize.activations import activation_ranges, group_ranges, lossless_scale
from mrqc.passes.requantize.assignment import Contraction, GroupDemand, independent_scales, joint_scales
from mrqc.passes.requantize.parameters import DataOf, Layer, retyped_parameters
from mrqc.passes.requantize.weights import WeightGrid
from mrqc.targets import Target

SOFTMAX_SCALE = 2.0**-7
"""Probabilities in signed 8 bits: code 127 is the nearest to 1."""


@dataclass(frozen=True)
class Requantize(Pass):
    """Give every activation, weight and bias a type of the target's scheme.

    Scales of tied tensors are chosen together; weights keep their file's own grid wherever that is possible; the real
    range of every result, ReLU clamps that a zero point gave for free included, becomes an explicit clamp.

    Attributes:
        target: The scheme.
        io: ``target``: inputs and outputs are in the target's scheme too; ``original``: they keep the module's own
            types, and a conversion stands behind each input and before each output.
    """

    name: ClassVar[str] = "requantize"
    summary: ClassVar[str] = "move every tensor to the target's quantization scheme, data-free"
    exactness: ClassVar[Exactness] = "lossy"
    target: Target
    io: Literal["target", "original"] = "target"

    def __call__(self, module: Module) -> Module:
        """Return the module in the target's scheme."""
        if self.target.is_runtime:
            raise TargetError(f"target {self.target.name} keeps the scheme of the model; nothing is re-quantized")
        findings = list(_unquantized(module))
        if findings:
            raise InputError.collect("only a fully quantized model can be moved to a target", findings)
        groups = scale_groups(module, self.target.requantize.only_shifts)
        if groups.conflicts:
            raise TargetError.collect(f"target {self.target.name} cannot run this model", groups.conflicts)
        elements = self._elements(module, groups)
        return _Retyping(module, self.target, elements).run(self.io)

    def _elements(self, module: Module, groups: ScaleGroups) -> dict[Value, Element]:
        """Return the new element of each activation."""
        scheme = self.target.activation
        ranges = group_ranges(groups, activation_ranges(module))
        required = {
            groups.group_of[statement.result]
            for statement in module.graph.statements
            if isinstance(statement.op, nn.Softmax)
        }
        entries = set(module.graph.inputs)
        demands = [
            GroupDemand(range_, SOFTMAX_SCALE, required=True)
            if index in required
            else GroupDemand(range_, lossless_scale(members[0], scheme) if members[0] in entries else None)
            for index, (range_, members) in enumerate(zip(ranges, groups.members, strict=True))
        ]
        if self.target.requantize.only_shifts:
            scales = joint_scales(groups, demands, list(_contractions(module)), self.target)
        else:
            scales = independent_scales(demands, scheme)
        return {value: Element.per_tensor(scheme.storage, scales[group]) for value, group in groups.group_of.items()}


class _Retyping:
    """One walk over a module that gives every value its new element."""

    def __init__(self, module: Module, target: Target, elements: dict[Value, Element]) -> None:
        self._module = module
        self._target = target
        self._elements = elements
        self._ranges = activation_ranges(module)
        self._data = DataOf(module)
        self._builder = GraphBuilder(value.name for value in module.graph.values())
        self._findings: list[Diagnostic] = []

    def run(self, io: Literal["target", "original"]) -> Module:
        graph, builder = self._module.graph, self._builder
        for value in graph.inputs:
            if io == "original":
                builder.adopt_input(value)
                builder.bind(value, builder.emit(nn.Quantize(value, self._elements[value])))
            else:
                new = replace(value, type=value.type.with_element(self._elements[value]))
                builder.adopt_input(new)
                builder.bind(value, new)
        for statement in graph.statements:
            self._retype(statement)
        if self._findings:
            raise TargetError.collect(f"target {self._target.name} cannot run this model", self._findings)
        outputs: list[Output] = []
        for output in graph.outputs:
            value = builder.lookup(output.value)
            if io == "original" and value.type != output.value.type:
                value = builder.emit(nn.Quantize(value, output.value.type.element))
            outputs.append(Output(output.name, value))
        return without_dead_statements(self._module.with_graph(builder.finish(outputs)))

    def _retype(self, statement: Statement) -> None:
        """Emit the statement with new operand and result elements."""
        source = statement.op
        if isinstance(source, nn.Constant) and statement.result not in self._elements:
            # Contractions get constants of their own; what else uses it, an output, keeps it.
            self._builder.append(statement)
            self._builder.bind(statement.result, statement.result)
            return
        op = source.map_operands(self._builder.lookup)
        if isinstance(source, Layer):
            op = self._retype_contraction(source, statement)
        old = statement.result
        if old in self._elements:
            op = self._with_new_element(op, old, self._clamp(source, old))
        new = replace(old, type=op.infer()[0])
        self._builder.append(Statement((new,), op, statement.location))
        if isinstance(op, nn.Mean | nn.Sum):
            # They have no clamp of their own, and the old codes saturated where the new ones may not.
            new = self._builder.emit(nn.Clip(new, self._clamp(source, old), new.type.element), statement.location)
        self._builder.bind(old, new)

    def _retype_contraction(self, op: Layer, statement: Statement) -> Op:
        """Return a contraction over new weights and a new bias at the scale of its accumulator."""
        input_scale = self._elements[op.input].quantization
        output_scale = self._elements[statement.result].quantization
        assert input_scale is not None
        assert output_scale is not None
        parameters = retyped_parameters(op, self._data, input_scale.scale, output_scale.scale, self._target)
        if isinstance(parameters, str):
            self._findings.append(Diagnostic(parameters, str(statement.location)))
            return op.map_operands(self._builder.lookup)
        weight, bias = (
            self._builder.emit(constant, location) if constant is not None else None
            for constant, location in (
                (parameters.weight, self._data.location(op.weight)),
                (parameters.bias, self._data.location(op.bias)),
            )
        )
        return replace(op, input=self._builder.lookup(op.input), weight=weight, bias=bias)

    def _with_new_element(self, op: Op, old: Value, clamp: tuple[float, float]) -> Op:
        """Return ``op`` with the new element of its result, and with the clamp."""
        element = self._elements[old]
        if isinstance(op, nn.Constant):
            real = self._data.real(old)
            return DataOf.constant(real, element, self._target.activation.minimum, self._target.activation.maximum)
        if isinstance(op, nn.Quantize):
            # Between two codes of the old scheme it saturated at the range of the second.
            return nn.Clip(op.input, clamp, element)
        changes: dict[str, Any] = {
            name: new for name, new in (("element", element), ("clamp", clamp)) if hasattr(op, name)
        }
        return replace(cast(Any, op), **changes) if changes else op

    def _clamp(self, op: Op, result: Value) -> tuple[float, float]:
        """Return the real range that the old result had, or no clamp where codes pass through and have it already."""
        range_ = self._ranges[result]
        if isinstance(op, nn.Clip | nn.MaxPool2D | nn.Quantize):
            source = self._ranges[op.input]
            if range_.low <= source.low and source.high <= range_.high:
                return nn.UNBOUNDED
        return (range_.low, range_.high)


def _unquantized(module: Module) -> Iterator[Diagnostic]:
    """Yield each statement that computes in floats; a constant float bias is none, it is quantized here."""
    for value in module.graph.inputs:
        if not value.type.element.is_quantized:
            yield Diagnostic(f"input {value.name!r} is float and never quantized")
    for statement in module.graph.statements:
        op, hint = statement.op, "quantize its operands and its result in the model"
        if isinstance(op, nn.Constant) or (isinstance(op, nn.ArgMax) and op.input.type.element.is_quantized):
            continue
        needed = op.operands[:2] if isinstance(op, Layer) else op.operands
        if isinstance(op, nn.Dequantize) or not statement.result.type.element.is_quantized:
            yield Diagnostic(f"{op.mnemonic} computes in floats", str(statement.location), hint)
        elif any(not operand.type.element.is_quantized for operand in needed):
            yield Diagnostic(f"{op.mnemonic} has a float operand", str(statement.location), hint)


def _contractions(module: Module) -> Iterator[Contraction]:
    data = DataOf(module)
    for statement in module.graph.statements:
        op = statement.op
        if isinstance(op, Layer):
            quantization, codes = op.weight.type.quantization, data.codes(op.weight)
            if quantization is None or codes is None or quantization.axis not in (None, 0):
                continue
            yield Contraction(op.input, statement.result, WeightGrid.of(codes, quantization))
