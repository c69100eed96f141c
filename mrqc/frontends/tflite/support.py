"""Every operator that is imported, and what to tell about the others."""

from __future__ import annotations

from collections.abc import Mapping

from mrqc.frontends.tflite.activation import ACTIVATION_RULES
from mrqc.frontends.tflite.contraction import CONTRACTION_RULES
from mrqc.frontends.tflite.elementwise import ELEMENTWISE_RULES
from mrqc.frontends.tflite.folding import FOLDED
from mrqc.frontends.tflite.layout import LAYOUT_RULES
from mrqc.frontends.tflite.moves import MOVE_RULES
from mrqc.frontends.tflite.pooling import POOLING_RULES
from mrqc.frontends.tflite.quantize import QUANTIZE_RULES
from mrqc.frontends.tflite.reduction import REDUCTION_RULES
from mrqc.frontends.tflite.resize import RESIZE_RULES
from mrqc.frontends.tflite.site import Support
from mrqc.frontends.tflite.slicing import SLICING_RULES

RULES: Mapping[str, Support] = {
    **QUANTIZE_RULES,
    **CONTRACTION_RULES,
    **POOLING_RULES,
    **REDUCTION_RULES,
    **ELEMENTWISE_RULES,
    **ACTIVATION_RULES,
    **LAYOUT_RULES,
    **MOVE_RULES,
    **SLICING_RULES,
    **RESIZE_RULES,
}
"""The rule of each builtin operator, in the order of the documentation."""

_CONTROL_FLOW = "export the model without control flow"
_RECURRENT = "recurrent operators keep a state between runs; unroll the sequence before converting"
_HINTS: Mapping[str, str] = {
    **dict.fromkeys(("IF", "WHILE", "CALL", "STABLEHLO_WHILE", "STABLEHLO_CASE"), _CONTROL_FLOW),
    **dict.fromkeys(
        (
            "LSTM",
            "RNN",
            "SVDF",
            "BIDIRECTIONAL_SEQUENCE_LSTM",
            "BIDIRECTIONAL_SEQUENCE_RNN",
            "UNIDIRECTIONAL_SEQUENCE_LSTM",
            "UNIDIRECTIONAL_SEQUENCE_RNN",
        ),
        _RECURRENT,
    ),
    "CUSTOM": "only builtin operators are supported",
    "DELEGATE": "the model is prepared for one device; use the file from before that",
}


def hint_for(builtin: str) -> str:
    """Return what is possible instead of an operator that cannot be imported, or an empty string."""
    return _HINTS.get(builtin, "")


def support_table() -> str:
    """Return the operators and their limits as a Markdown document."""
    rows = "".join(f"| {builtin} | {support.summary} |\n" for builtin, support in RULES.items())
    return (
        "# TFLite operators\n\n"
        "Files of format version 3 with one subgraph. The batch, the leading extent, may be open; it becomes 1,\n"
        "or what `--batch` says.\n"
        "Element types are FLOAT32, INT8, UINT8, INT16, INT32 and INT64; constants may be FLOAT16.\n"
        "Where weights of 8 bits meet floats, the runtime rounds these to 8 bits; mrqc keeps to real numbers.\n"
        "Variables that a model keeps from run to run (VAR_HANDLE, READ_VARIABLE, ASSIGN_VARIABLE), set up by a\n"
        "graph that CALL_ONCE runs, become states: an input each, and an output that it takes over in the next run.\n"
        "They start at one number throughout.\n"
        "This table is generated from `mrqc/frontends/tflite`; a test compares them.\n\n"
        f"| operator | supported |\n|---|---|\n{rows}\n"
        f"Shapes that converters work out step by step, on plain integers: {', '.join(FOLDED)}.\n"
    )
