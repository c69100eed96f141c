"""The table of rules that reproduce ONNX Runtime's CPU kernels."""

from __future__ import annotations

from mrqc.ir.rules import RuleTable
from mrqc.passes.lower_to_int.rules import LoweringRule

ONNXRUNTIME_LOWERINGS: RuleTable[LoweringRule] = RuleTable("onnxruntime lowering")
"""For each ``nn`` op, over operands of the new graph: emit integer statements that compute what the runtime does."""
