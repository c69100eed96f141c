"""``absorb-zero-points``: tensors with a zero point become tensors without, and biases take up the difference."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, cast

import numpy as np

from mrqc.analysis.scale_groups import TieConditions, scale_groups
from mrqc.errors import Diagnostic, TargetError
from mrqc.ir.data import Data
from mrqc.ir.dtype import DType
from mrqc.ir.graph import Module, Output, Statement
from mrqc.ir.op import Op, Value
from mrqc.ir.rewrite import GraphBuilder, without_dead_statements
from mrqc.ir.types import Element
from mrqc.ops import nn
from mrqc.passes.definition import Exactness, Pass
from mrqc.passes.requantize.form import Layer, Real, constant_of, host_results, real_constant, scale_of
from mrqc.passes.requantize.zero_points import Addition, absorption, balance, offset_of, passes
from mrqc.targets import Target

_SPREAD = 32.0
"""Root mean square of what codes differ by from that of zero, roughly."""


@dataclass(frozen=True)
class AbsorbZeroPoints(Pass):
    """Give every activation zero point 0 without changing a code, on a symmetric target.

    A tensor with scale s and zero point z is read anew as the tensor plus ``s z``. The layer that makes it adds ``s z``
    to its bias; the layers that use it, which have no padding, take ``s z`` times the sum of a channel's weights from
    theirs. With shifts as multipliers both are whole numbers (docs/requantization.md equation 11); other multipliers
    make up for most of what the bias rounds (equation 21).

    Attributes:
        target: Whether it is symmetric, and its bias register.
    """

    name: ClassVar[str] = "absorb-zero-points"
    summary: ClassVar[str] = "move the zero points of activations into biases"
    exactness: ClassVar[Exactness] = "lossy"
    target: Target

    def __call__(self, module: Module) -> Module:
        """Return the module without zero points.

        Raises:
            TargetError: Biases that do not fit the register any more, all of them.
        """
        if not self.target.activation.symmetric:
            return module
        return _Absorption(module, self.target).run()


class _Absorption:
    def __init__(self, module: Module, target: Target) -> None:
        self._module = module
        self._target = target
        self._builder = GraphBuilder(value.name for value in module.graph.values())
        self._findings: list[Diagnostic] = []
        self._offsets = _offsets(module)
        self._host_results = host_results(module)

    def run(self) -> Module:
        graph, builder = self._module.graph, self._builder
        if not any(self._offsets.values()):
            return self._module
        for value in graph.inputs:
            builder.adopt_input(value)
            builder.bind(value, self._relabelled(value, -_zero_point(value)))
        for statement in graph.statements:
            self._absorb(statement)
        if self._findings:
            raise TargetError.collect(f"target {self._target.name} cannot run this model", self._findings)
        outputs = [
            Output(output.name, self._relabelled(builder.lookup(output.value), self._seen(output.value), output.name))
            for output in graph.outputs
        ]
        return without_dead_statements(self._module.with_graph(builder.finish(outputs)))

    def _relabelled(self, value: Value, shift: int, name: str | None = None) -> Value:
        """Return the codes of a value, read with another zero point."""
        if shift == 0:
            return value
        return self._builder.emit(nn.Relabel(value, (1.0,), shift), name=f"{name or value.name}_relabelled")

    def _absorb(self, statement: Statement) -> None:
        builder, old, source = self._builder, statement.result, statement.op
        if isinstance(source, nn.Quantize):
            # At the edge of the graph: in front of it and behind it the host knows zero points.
            (operand,) = source.operands
            op = replace(source, input=self._relabelled(builder.lookup(operand), _zero_point(operand)))
        elif isinstance(source, nn.Constant):
            op = source
        elif isinstance(source, Layer):
            op = self._layer(source, source.map_operands(builder.lookup), statement)
        else:
            op = _shifted(source.map_operands(builder.lookup), self._offsets[old])
        if not isinstance(op, nn.Constant | nn.Quantize) and hasattr(op, "element"):
            op = replace(cast(Any, op), element=_without_zero_point(old))
        new = replace(old, type=op.infer()[0])
        builder.append(Statement((new,), op, statement.location))
        builder.bind(old, self._relabelled(new, -self._seen(old)) if isinstance(op, nn.Quantize) else new)

    def _seen(self, value: Value) -> int:
        """Return the zero point that a value loses inside: none if it is made for the host alone."""
        return 0 if value in self._host_results else _zero_point(value)

    def _layer(self, old: Layer, op: Layer, statement: Statement) -> Layer:
        """Return a layer whose bias holds the zero points of its input and of its result."""
        before, after = self._offsets[old.input], self._offsets[statement.result]
        if before == 0.0 and after == 0.0:
            return op
        definitions = self._module.graph.definitions
        assert old.bias is not None
        bias, weight = definitions[old.bias], definitions[old.weight]
        weights = real_constant(weight)
        sums = weights.reshape(len(weights), -1).sum(axis=1)
        element = bias.result.type.element
        assert element.quantization is not None
        units = np.asarray(element.quantization.scales)
        real = (real_constant(bias) - before * sums + after) / units
        codes = np.rint(real)
        if np.abs(codes).max() >= 1 << (self._target.bias.bits - 1):
            self._findings.append(
                Diagnostic(
                    f"a bias of {np.abs(codes).max():.0f} with zero points does not fit (bias.bits)",
                    str(statement.location),
                    "symmetrize{centre=false}",
                )
            )
            return op
        stretch = self._stretch((codes - real) * units, statement, weight)
        if stretch is not None:
            element = _stretched(element, stretch)
            kernel = nn.Constant(constant_of(weight), _stretched(weight.result.type.element, stretch))
            op = replace(op, weight=self._builder.emit(kernel, weight.location, f"{old.weight.name}_stretched"))
        constant = nn.Constant(Data.of(codes.astype(np.int64), element.dtype), element)
        value = self._builder.emit(constant, bias.location, f"{old.bias.name}_absorbed")
        return replace(op, bias=value, clamp=(op.clamp[0] + after, op.clamp[1] + after))

    def _stretch(self, rounded: Real, statement: Statement, weight: Statement) -> Real | None:
        """Return by what factor a layer's multipliers make up for what its bias rounds; None where they cannot.

        Codes that are ``a`` too high are ``a + t (c + a)`` too high behind a multiplier that is ``1 + t`` times what it
        was. Their second moment is least at t = -a E[c] / E[c^2], and most codes lie near that of zero
        (docs/requantization.md equation 21).

        Args:
            rounded: How much each channel's real bias has been rounded up, ``[O]``.
            statement: The layer.
            weight: The constant of its weights.
        """
        offset, scale = self._offsets[statement.result], scale_of(statement.result.type.element)
        quantization = weight.result.type.quantization
        if not offset or self._target.requantize.only_shifts or quantization is None:
            return None
        if len(self._module.graph.uses[weight.result]) > 1:
            return None
        too_high = rounded / scale if len(quantization.scales) > 1 else np.array([rounded.mean() / scale])
        centre = offset / scale
        return 1.0 - too_high * centre / (centre**2 + _SPREAD**2)


def _offsets(module: Module) -> dict[Value, float]:
    """Return what each activation is read anew with added: scale times zero point, or what additions and means need.

    A sum has the offsets of its operands together. Where its own element says otherwise, an operand that a layer makes
    takes the difference, a fraction of a code.
    """
    groups = scale_groups(module, TieConditions.of(only_shifts=False)).group_of
    fixed = {group for value, group in groups.items() if value.type.dtype is not DType.I8}
    balancing = absorption(module, groups, fixed).balancing
    found = {value: offset_of(value.type.element) for value in module.graph.values()}
    for statement in module.graph.statements:
        op, result = statement.op, statement.result
        if passes(op):
            found[result] = found[op.operands[0]]
        elif isinstance(op, Addition) and result.name in balancing:
            free = balancing[result.name]
            other = op.rhs if free == op.lhs else op.lhs
            found[free] = balance(op, free, found[result], found[other])
    return found


def _zero_point(value: Value) -> int:
    """Return the zero point of a per-tensor activation, 0 for everything else."""
    quantization = value.type.quantization
    return quantization.zero_point if quantization is not None and quantization.is_per_tensor else 0


def _without_zero_point(value: Value) -> Element:
    quantization = value.type.quantization
    if quantization is None or not quantization.is_per_tensor:
        return value.type.element
    return Element.per_tensor(value.type.dtype, quantization.scale)


def _stretched(element: Element, factors: Real) -> Element:
    """Return an element at other scales."""
    assert element.quantization is not None
    scales = np.asarray(element.quantization.scales) * factors
    return replace(element, quantization=replace(element.quantization, scales=tuple(scales.tolist())))


def _shifted(op: Op, offset: float) -> Op:
    """Return an op that moves codes, with its real numbers shifted as its operand is."""
    if offset == 0.0:
        return op
    if isinstance(op, nn.Pad):
        return replace(op, value=op.value + offset)
    if hasattr(op, "clamp"):
        clamp: tuple[float, float] = cast(Any, op).clamp
        return replace(cast(Any, op), clamp=(clamp[0] + offset, clamp[1] + offset))
    return op
