"""``eliminate-dead-code``: drop what nothing uses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mrqc.ir.graph import Module
from mrqc.ir.rewrite import without_dead_statements
from mrqc.passes.definition import Exactness, Pass


@dataclass(frozen=True)
class EliminateDeadCode(Pass):
    """Remove the statements that no output depends on; inputs stay."""

    name: ClassVar[str] = "eliminate-dead-code"
    summary: ClassVar[str] = "remove statements that no output depends on"
    exactness: ClassVar[Exactness] = "exact"

    def __call__(self, module: Module) -> Module:
        """Return the module without them."""
        return without_dead_statements(module)
