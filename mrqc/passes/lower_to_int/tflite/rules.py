"""The table of rules that reproduce TensorFlow Lite's reference kernels."""

from __future__ import annotations

from mrqc.ir.rules import RuleTable
from mrqc.passes.lower_to_int.rules import LoweringRule

TFLITE_LOWERINGS: RuleTable[LoweringRule] = RuleTable("tflite lowering")
"""For each ``nn`` op, over operands of the new graph: emit integer statements that compute what the runtime does."""
