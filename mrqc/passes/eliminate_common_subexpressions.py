"""``eliminate-common-subexpressions``: compute the same thing once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from mrqc.ir.graph import Module, Statement
from mrqc.ir.op import Op, Value
from mrqc.ir.rewrite import GraphBuilder, rewrite
from mrqc.passes.definition import Exactness, Pass


@dataclass(frozen=True)
class EliminateCommonSubexpressions(Pass):
    """Replace each statement whose op stands earlier already; ops are values, so that is a dictionary look-up."""

    name: ClassVar[str] = "eliminate-common-subexpressions"
    summary: ClassVar[str] = "compute equal statements once"
    exactness: ClassVar[Exactness] = "exact"

    def __call__(self, module: Module) -> Module:
        """Return the module with equal ops merged."""
        known: dict[Op, tuple[Value, ...]] = {}

        def rule(statement: Statement, builder: GraphBuilder) -> Sequence[Value] | None:
            del builder
            earlier = known.get(statement.op)
            if earlier is None:
                types = statement.op.infer()
                known[statement.op] = tuple(
                    Value(result.name, type_) for result, type_ in zip(statement.results, types, strict=True)
                )
            return earlier

        return rewrite(module, rule)
