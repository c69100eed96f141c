"""The table of simulator rules, and what a rule is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from mrqc.backends.interpreter import Array, Kernel
from mrqc.ir import RuleTable, Value


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known about one statement before it runs.

    Attributes:
        known: The arrays of the values that depend on no input.
        bound: The greatest magnitude of its accumulator, proved by analysis; 0 where it has none.
    """

    known: Mapping[Value, Array]
    bound: int


Rule: TypeAlias = Callable[[Any, Facts], Kernel]

RULES: RuleTable[Rule] = RuleTable("simulator")
"""From an op and the facts to its kernel; filled by the family modules, sealed by the program."""
