"""The table of reference rules, and what a rule is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from mrqc.backends.interpreter import Array, Kernel
from mrqc.ir import RuleTable, Value

Rule: TypeAlias = Callable[[Any, Mapping[Value, Array]], Kernel]

RULES: RuleTable[Rule] = RuleTable("reference")
"""From an op and the arrays that depend on no input to its kernel; filled by the family modules, sealed by
the program. Kernels take and return codes in their dtype for quantized tensors, float64 for floats."""
