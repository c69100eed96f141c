"""Limits that hardware sets to scales: what the labels of an ``int`` module must be."""

from __future__ import annotations

from collections.abc import Iterator

from mrqc.errors import Diagnostic
from mrqc.ir.graph import Module
from mrqc.ir.op import Op, Value
from mrqc.numerics import power_of_two_exponent
from mrqc.ops import int as int_ops
from mrqc.ops.contraction import Conv2DBase, FullyConnectedBase, TransposeConv2DBase
from mrqc.ops.structure import ReshapeBase, SliceBase, TakeBase, TransposeBase
from mrqc.targets import OpSupport, Target

_HINT = "run the pass 'requantize' first"


def scale_findings(module: Module, target: Target) -> Iterator[Diagnostic]:
    """Yield each weight, bias or activation whose scale is no power of two on a target where it must be one.

    Inputs and outputs of the graph keep the scales that the user gave them, and so do values that only a relabelling
    or the host's last conversion reads, directly or behind what moves codes, and relabelled ones that only tables of
    codes read: nothing computes with those labels.
    """
    weights = {op.weight: op for op in _ops(module) if isinstance(op, _CONTRACTIONS)}
    biases = {op.bias for op in _ops(module) if isinstance(op, _CONTRACTIONS)}
    exempt = _exempt(module, target)
    for statement in module.graph.statements:
        value = statement.result
        if value in exempt or value in biases or _has_powers_of_two(value):
            continue
        where = str(statement.location) or f"{value} = {statement.op.mnemonic}"
        scale = max(value.type.quantization.scales) if value.type.quantization else 0.0
        if value in weights and target.weight.only_powers_of_two:
            yield Diagnostic(f"weights have scale {scale:.6g}, no power of two (weight.scale)", where, _HINT)
        elif value not in weights and target.activation.only_powers_of_two:
            yield Diagnostic(f"its result has scale {scale:.6g}, no power of two (activation.scale)", where, _HINT)


def same_scale_problems(op: Op, results: tuple[Value, ...], support: OpSupport) -> Iterator[str]:
    """Yield a sentence if operands and results differ in scale where the hardware has one for all."""
    if support.same_scale and len({value.type.quantization for value in (*op.operands, *results)}) > 1:
        yield f"its operands and its result have different scales (ops.{op.mnemonic}.same_scale)"


_PASSING = (ReshapeBase, TransposeBase, SliceBase, TakeBase, int_ops.Pad, int_ops.Clamp, int_ops.MaxPool2D)
"""Ops that leave codes what they are, whatever the scale."""

_CONTRACTIONS = (Conv2DBase, TransposeConv2DBase, FullyConnectedBase)


def _ops(module: Module) -> Iterator[Op]:
    return (statement.op for statement in module.graph.statements)


def _exempt(module: Module, target: Target) -> set[Value]:
    """Return the values whose labels the accelerator does not see, followed backwards through what moves codes."""
    graph = module.graph
    rescale = target.ops.get(int_ops.Rescale.mnemonic)
    leaving = graph.output_values if rescale is not None and rescale.on == "host" else frozenset[Value]()
    exempt = {*graph.inputs, *(output.value for output in graph.outputs)}
    for value in reversed([statement.result for statement in graph.statements]):
        users = graph.uses.get(value, ())
        is_relabelled = isinstance(graph.definitions[value].op, int_ops.Relabel)
        if all(
            isinstance(user.op, int_ops.Relabel)
            or (isinstance(user.op, int_ops.Table) and is_relabelled)
            or (isinstance(user.op, int_ops.Rescale) and user.result in leaving)
            or (isinstance(user.op, _PASSING) and user.result in exempt)
            for user in users
        ):
            exempt.add(value)
    return exempt


def _has_powers_of_two(value: Value) -> bool:
    quantization = value.type.quantization
    return quantization is None or all(power_of_two_exponent(scale) is not None for scale in quantization.scales)
