"""``symmetrize``: every tensor gets an element of the target's scheme, at the scale that clips nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

from mrqc.errors import Diagnostic, InputError, TargetError
from mrqc.ir.graph import Module
from mrqc.ir.types import Element
from mrqc.ops import nn
from mrqc.passes.definition import Exactness, Pass
from mrqc.passes.requantize.activations import activation_ranges
from mrqc.passes.requantize.form import Edits, Layer, edited, layers_of
from mrqc.passes.requantize.plan import ActivationPlan
from mrqc.passes.requantize.structure import padded_convolutions, restructured
from mrqc.passes.requantize.weight_scales import weight_element
from mrqc.targets import Target


@dataclass(frozen=True)
class Symmetrize(Pass):
    """Give every activation and weight an element of the target's scheme, at min-max scales.

    What a ReLU clamps, and what a zero point clamped for free, becomes an explicit clamp; weights stay as the file has
    them, in front of a quantize to the target's element.

    Attributes:
        target: The scheme.
        io: ``target``: inputs and outputs are in the target's scheme too; ``original``: they keep the module's own
            types, and a conversion stands behind each input and before each output.
        centre: Whether tensors that only layers without padding use may keep a zero point, for ``absorb-zero-points``.
        pads: Whether padded convolutions get a pad in front, where the target has one and their input can then keep
            its zero point.
    """

    name: ClassVar[str] = "symmetrize"
    summary: ClassVar[str] = "give every tensor an element of the target's scheme, at min-max scales"
    exactness: ClassVar[Exactness] = "lossy"
    target: Target
    io: Literal["target", "original"] = "target"
    centre: bool = True
    pads: bool = True

    def __call__(self, module: Module) -> Module:
        """Return the module in the form of re-quantization."""
        if self.target.is_runtime:
            raise TargetError(f"target {self.target.name} keeps the scheme of the model; nothing is re-quantized")
        findings = list(_unquantized(module))
        if findings:
            raise InputError.collect("only a fully quantized model can be moved to a target", findings)
        findings = list(_unusable_parameters(module))
        if findings:
            raise TargetError.collect(f"target {self.target.name} cannot run this model", findings)
        ranges = {value.name: range_ for value, range_ in activation_ranges(module).items()}
        own = {value.name: value.type.element for value in module.graph.values()}
        source = module
        pads: Collection[str] = padded_convolutions(module) if self._can_pad else ()
        module = restructured(source, self.io, pads)
        plan = ActivationPlan.of(module, self.target, ranges, own, self.centre)
        useless = {layer.name for layer in layers_of(module) if not plan.is_centred(layer.op.input)}
        if not useless.isdisjoint(pads):
            module = restructured(source, self.io, [name for name in pads if name not in useless])
            plan = ActivationPlan.of(module, self.target, ranges, own, self.centre)
        return edited(module, Edits({**plan.elements(plan.least_scales()), **self._weights(module)}))

    @property
    def _can_pad(self) -> bool:
        return self.pads and self.centre and self.target.activation.symmetric and "int.pad" in self.target.ops

    def _weights(self, module: Module) -> dict[str, Element]:
        """Return the elements of rounded weights, by name, at min-max scales."""
        return {layer.op.weight.name: weight_element(layer, self.target.weight) for layer in layers_of(module)}


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


def _unusable_parameters(module: Module) -> Iterator[Diagnostic]:
    """Yield each layer whose weights or bias cannot be quantized again."""
    definitions = module.graph.definitions
    for statement in module.graph.statements:
        op = statement.op
        if not isinstance(op, Layer):
            continue
        weight, bias = definitions.get(op.weight), definitions.get(op.bias) if op.bias is not None else None
        where = str(statement.location)
        if weight is None or not isinstance(weight.op, nn.Constant):
            yield Diagnostic("the weights are computed at run time; only constant weights can be re-quantized", where)
        elif (axis := op.weight.type.quantization and op.weight.type.quantization.axis) not in (None, 0):
            yield Diagnostic(f"the weights are quantized along axis {axis}, not along the output channels", where)
        if op.bias is not None and (bias is None or not isinstance(bias.op, nn.Constant)):
            yield Diagnostic("the bias is computed at run time; only a constant bias can be re-quantized", where)
