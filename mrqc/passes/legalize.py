"""``legalize``: does every statement fit the target?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mrqc.analysis.accumulators import accumulator_bounds
from mrqc.errors import Diagnostic, TargetError
from mrqc.ir.graph import Module, Statement
from mrqc.ir.op import Op
from mrqc.ops import int as int_ops
from mrqc.ops.int import Requantize
from mrqc.passes.definition import Exactness, Pass
from mrqc.passes.window_limits import window_problems
from mrqc.targets import OpSupport, Target

_CONTRACTIONS = (int_ops.Conv2D, int_ops.TransposeConv2D, int_ops.FullyConnected)


@dataclass(frozen=True)
class Legalize(Pass):
    """Prove that the target can run an ``int`` module as it stands, or say what it cannot do, all of it.

    Checked: every op exists on the target and keeps its limits; multipliers, shifts and rounding are those of the
    hardware; weights, biases and activations fit their storage; no accumulator can overflow, whatever the input.
    """

    name: ClassVar[str] = "legalize"
    summary: ClassVar[str] = "check every statement against the target"
    exactness: ClassVar[Exactness] = "exact"
    target: Target

    def __call__(self, module: Module) -> Module:
        """Return the module itself.

        Raises:
            TargetError: Each constraint that fails: which, where, and what would help.
        """
        findings = [*self._op_findings(module)]
        if not self.target.is_runtime:
            findings += self._constant_findings(module)
        if not findings:
            findings += self._accumulator_findings(module)
        if findings:
            raise TargetError.collect(f"target {self.target.name} cannot run this model", findings)
        return module

    def _op_findings(self, module: Module) -> Iterator[Diagnostic]:
        for statement in module.graph.statements:
            op = statement.op
            if isinstance(op, int_ops.Constant):
                continue
            support = self.target.ops.get(op.mnemonic)
            where = _where(statement)
            if not op.mnemonic.startswith("int."):
                yield Diagnostic(f"{op.mnemonic} is not an integer op", where, "run the pass 'lower-to-int' first")
            elif support is None:
                there_are = ", ".join(self.target.ops)
                yield Diagnostic(f"the target has no {op.mnemonic} ([ops])", where, f"it has {there_are}")
            else:
                yield from (Diagnostic(problem, where) for problem in self._statement_problems(op, support))

    def _statement_problems(self, op: Op, support: OpSupport) -> Iterator[str]:
        yield from window_problems(op, support)
        requantize = getattr(op, "requantize", None)
        if isinstance(requantize, Requantize) and support.on == "accelerator":
            yield from self._requantize_problems(op, requantize)

    def _requantize_problems(self, op: Op, requantize: Requantize) -> Iterator[str]:
        scheme, weight = self.target.requantize, self.target.weight
        if requantize.rounding is not scheme.rounding:
            yield f"rounds {requantize.rounding}, the target {scheme.rounding} (requantize.rounding)"
        multipliers = [*requantize.multiplier]
        if isinstance(op, int_ops.Add):
            multipliers += [abs(op.lhs_multiplier), abs(op.rhs_multiplier)]
        if scheme.only_shifts and any(multiplier & (multiplier - 1) for multiplier in multipliers):
            yield "needs a multiplier that is no power of two (requantize.multiplier)"
        low, high = scheme.shift
        if any(not low <= shift <= high for shift in requantize.shift):
            yield f"needs a right shift outside [{low}, {high}] (requantize.shift)"
        if requantize.is_per_channel and not weight.is_per_channel:
            yield "has a scale for each channel, the target one for the layer (weight.granularity)"
        if requantize.zero_point != 0:
            yield f"has zero point {requantize.zero_point}, the target is symmetric (activation.symmetric)"
        activation = self.target.activation
        if requantize.minimum < activation.minimum or requantize.maximum > activation.maximum:
            yield (
                f"gives codes from {requantize.minimum} to {requantize.maximum}, the target holds "
                f"{activation.minimum} to {activation.maximum} (activation.range)"
            )

    def _constant_findings(self, module: Module) -> Iterator[Diagnostic]:
        """Yield the weights and biases that are too wide."""
        limit = 1 << (self.target.bias.bits - 1)
        for statement in module.graph.statements:
            op = statement.op
            if not isinstance(op, _CONTRACTIONS):
                continue
            weight, bias = _constant(module, op.weight), _constant(module, op.bias)
            if weight is not None and weight.min() < self.target.weight.minimum:
                yield Diagnostic(
                    f"weights reach {weight.min()}, the target holds {self.target.weight.minimum} to "
                    f"{self.target.weight.maximum} (weight.range)",
                    _where(statement),
                )
            if bias is not None and max(-int(bias.min()), int(bias.max()) + 1) > limit:
                yield Diagnostic(
                    f"biases from {bias.min()} to {bias.max()} do not fit {self.target.bias.bits} bits (bias.bits)",
                    _where(statement),
                )

    def _accumulator_findings(self, module: Module) -> Iterator[Diagnostic]:
        bits = self.target.accumulator.bits
        bounds = accumulator_bounds(module)
        for statement in module.graph.statements:
            support = self.target.ops.get(statement.op.mnemonic)
            bound = bounds.get(statement.result)
            if bound is None or support is None or support.on == "host":
                continue
            if bound.magnitude >= 1 << (bits - 1):
                yield Diagnostic(
                    f"its accumulator can reach {bound.magnitude} in channel {bound.channel}, more than {bits} bits "
                    "hold (accumulator.bits)",
                    _where(statement),
                    "fewer input channels, smaller weights, or a wider accumulator",
                )


def _where(statement: Statement) -> str:
    return str(statement.location) or f"{statement.result} = {statement.op.mnemonic}"


def _constant(module: Module, value: object) -> np.ndarray | None:
    definition = module.graph.definitions.get(value) if value is not None else None  # type: ignore[call-overload]
    return definition.op.value.array if definition is not None and isinstance(definition.op, int_ops.Constant) else None
