"""``legalize``: does every statement fit the target?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mrqc.analysis.accumulators import accumulator_bounds
from mrqc.backends.simulator.requantize import greatest_intermediate
from mrqc.errors import Diagnostic, TargetError
from mrqc.ir.graph import Module, Statement
from mrqc.ir.op import Op
from mrqc.ops import int as int_ops
from mrqc.ops.int import Requantize
from mrqc.passes.definition import Exactness, Pass
from mrqc.passes.label_limits import same_scale_problems, scale_findings
from mrqc.passes.parameter_limits import bias_problems, weight_problems
from mrqc.passes.requantize_limits import requantize_problems
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
            findings += scale_findings(module, self.target)
        if not findings:
            findings += self._accumulator_findings(module)
        if findings:
            raise TargetError.collect(f"target {self.target.name} cannot run this model", findings)
        return module

    def _op_findings(self, module: Module) -> Iterator[Diagnostic]:
        for statement in module.graph.statements:
            op = statement.op
            if isinstance(op, int_ops.Constant | int_ops.Relabel):
                continue
            support = self.target.ops.get(op.mnemonic)
            where = _where(statement)
            if not op.mnemonic.startswith("int."):
                yield Diagnostic(f"{op.mnemonic} is not an integer op", where, "run the pass 'lower-to-int' first")
            elif support is None:
                there_are = ", ".join(self.target.ops)
                yield Diagnostic(f"the target has no {op.mnemonic} ([ops])", where, f"it has {there_are}")
            else:
                yield from (Diagnostic(problem, where) for problem in self._statement_problems(statement, support))

    def _statement_problems(self, statement: Statement, support: OpSupport) -> Iterator[str]:
        op = statement.op
        yield from window_problems(op, support)
        if support.on == "host":
            return
        yield from same_scale_problems(op, statement.results, support)
        requantize = getattr(op, "requantize", None)
        if isinstance(requantize, Requantize):
            yield from self._storage_problems(op)
            yield from requantize_problems(op, requantize, self.target, support)

    def _storage_problems(self, op: Op) -> Iterator[str]:
        """Yield what is stored otherwise than the target stores activations; results are part of the arithmetic."""
        activation = self.target.activation
        operands = (op.input,) if isinstance(op, _CONTRACTIONS) else op.operands
        stored = " or ".join(activation.storages)
        for dtype in dict.fromkeys(value.type.dtype for value in operands):
            if dtype not in activation.storages:
                yield f"reads {dtype}, the target stores activations as {stored} (activation.dtype)"

    def _constant_findings(self, module: Module) -> Iterator[Diagnostic]:
        """Yield the weights and biases that are too wide."""
        for statement in module.graph.statements:
            op = statement.op
            if not isinstance(op, _CONTRACTIONS):
                continue
            problems = [*weight_problems(op.weight, _constant(module, op.weight), self.target)]
            if self._runs_on_accelerator(op):
                problems += bias_problems(_constant(module, op.bias), self.target)
            yield from (Diagnostic(problem, _where(statement)) for problem in problems)

    def _runs_on_accelerator(self, op: Op) -> bool:
        support = self.target.ops.get(op.mnemonic)
        return support is not None and support.on == "accelerator"

    def _accumulator_findings(self, module: Module) -> Iterator[Diagnostic]:
        bits = self.target.accumulator.bits
        bounds = accumulator_bounds(module)
        for statement in module.graph.statements:
            support = self.target.ops.get(statement.op.mnemonic)
            bound = bounds.get(statement.result)
            requantize = getattr(statement.op, "requantize", None)
            if bound is None or support is None:
                continue
            if isinstance(requantize, Requantize) and greatest_intermediate(requantize, bound.magnitude) >= 1 << 63:
                yield Diagnostic(
                    f"its accumulator can reach {bound.magnitude}, and does not fit 64 bits once it is multiplied "
                    "(requantize.bits)",
                    _where(statement),
                    "a narrower multiplier",
                )
            if support.on == "host":
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
