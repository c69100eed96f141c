"""``lower-to-int``: from scales to integers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

from mrqc.errors import Diagnostic, RefusalError, TargetError
from mrqc.ir.graph import Module, Statement
from mrqc.ir.op import Value
from mrqc.ir.rewrite import GraphBuilder
from mrqc.ir.rules import RuleTable
from mrqc.ops import NN_OPS
from mrqc.passes.definition import Exactness, Pass
from mrqc.passes.lower_to_int import activation, contraction, elementwise, layout, pooling, reduction, rescale, resize
from mrqc.passes.lower_to_int.onnxruntime import ONNXRUNTIME_LOWERINGS
from mrqc.passes.lower_to_int.rules import LOWERINGS, LoweringRule, Site
from mrqc.passes.lower_to_int.tflite import TFLITE_LOWERINGS
from mrqc.targets import Semantics, Target

_RULE_MODULES = (activation, contraction, elementwise, layout, pooling, reduction, rescale, resize)
LOWERINGS.seal(NN_OPS)

_RULES: Mapping[Semantics, RuleTable[LoweringRule]] = MappingProxyType(
    {"generic": LOWERINGS, "tflite": TFLITE_LOWERINGS, "onnxruntime": ONNXRUNTIME_LOWERINGS}
)


@dataclass(frozen=True)
class LowerToInt(Pass):
    """Replace every ``nn`` op by integer ops with the multipliers, shifts and roundings of the target.

    The reals are rounded as the target rounds, so results may differ from the reference by a code. Where the target
    is a runtime, each op becomes what that runtime's kernel computes.

    Attributes:
        target: Whose arithmetic.
    """

    name: ClassVar[str] = "lower-to-int"
    summary: ClassVar[str] = "turn scales into the target's multipliers, shifts and rounding"
    exactness: ClassVar[Exactness] = "lossy"
    target: Target

    def __call__(self, module: Module) -> Module:
        """Return an ``int`` module.

        Raises:
            TargetError: Statements that the target's arithmetic cannot express, all of them.
        """
        graph = module.graph
        builder = GraphBuilder(value.name for value in graph.inputs)
        for value in graph.inputs:
            builder.adopt_input(value)
        findings: list[Diagnostic] = []
        for statement in graph.statements:
            builder.bind(statement.result, self._lower(statement, builder, findings))
        if findings:
            raise TargetError.collect(f"target {self.target.name} cannot run this model", findings)
        return module.with_graph(builder.finish(graph.outputs)).with_facts(target=self.target.name)

    def _lower(self, statement: Statement, builder: GraphBuilder, findings: list[Diagnostic]) -> Value:
        """Lower one statement; where it is refused, its old result stands in so that the walk finds the rest."""
        op = statement.op.map_operands(builder.lookup)
        try:
            return _RULES[self.target.semantics][type(op)](op, Site(self.target, builder, statement.location))
        except RefusalError as refusal:
            findings.append(Diagnostic(refusal.reason, str(statement.location) or op.mnemonic, refusal.hint))
            return statement.result
