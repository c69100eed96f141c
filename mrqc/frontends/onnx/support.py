"""Every operator that is imported, and what to tell about the others."""

from __future__ import annotations

from collections.abc import Mapping

from mrqc.frontends.onnx.activation import ACTIVATION_RULES
from mrqc.frontends.onnx.constant import CONSTANT_RULES
from mrqc.frontends.onnx.contraction import CONTRACTION_RULES
from mrqc.frontends.onnx.elementwise import ELEMENTWISE_RULES
from mrqc.frontends.onnx.folded import FOLDED_RULES
from mrqc.frontends.onnx.graph import OLDEST_OPSET
from mrqc.frontends.onnx.layout import LAYOUT_RULES
from mrqc.frontends.onnx.normalization import NORMALIZATION_RULES
from mrqc.frontends.onnx.one_dimensional import along_one_axis_too
from mrqc.frontends.onnx.pooling import POOLING_RULES
from mrqc.frontends.onnx.qlinear import QLINEAR_RULES
from mrqc.frontends.onnx.qoperator import QOPERATOR_RULES
from mrqc.frontends.onnx.quantize import QUANTIZE_RULES
from mrqc.frontends.onnx.rearrange import REARRANGE_RULES
from mrqc.frontends.onnx.reduction import REDUCTION_RULES
from mrqc.frontends.onnx.resize import RESIZE_RULES
from mrqc.frontends.onnx.site import NodeRule
from mrqc.frontends.onnx.stretch import STRETCH_RULES
from mrqc.frontends.onnx.transposed import TRANSPOSED_RULES

_FLOAT_RULES: Mapping[str, NodeRule] = {
    **QUANTIZE_RULES,
    **CONTRACTION_RULES,
    **TRANSPOSED_RULES,
    **POOLING_RULES,
    **NORMALIZATION_RULES,
    **REDUCTION_RULES,
    **ELEMENTWISE_RULES,
    **ACTIVATION_RULES,
    **LAYOUT_RULES,
    **REARRANGE_RULES,
    **STRETCH_RULES,
    **RESIZE_RULES,
    **CONSTANT_RULES,
    **FOLDED_RULES,
}
_ALL_RULES: Mapping[tuple[str, str], NodeRule] = {
    **{("", op_type): rule for op_type, rule in _FLOAT_RULES.items()},
    **{("com.microsoft", op_type): rule for op_type, rule in QUANTIZE_RULES.items()},
    **QOPERATOR_RULES,
    **QLINEAR_RULES,
}
_WEIGHTS: Mapping[tuple[str, str], int | None] = {
    ("", "Conv"): 1,
    ("", "ConvTranspose"): 1,
    ("", "QLinearConv"): 3,
    ("", "ConvInteger"): 1,
    **{("", op_type): None for op_type in POOLING_RULES},
    ("com.microsoft", "QLinearAveragePool"): None,
    ("com.microsoft", "QLinearGlobalAveragePool"): None,
}
"""Operators with windows, and the input with the weights of each."""

RULES: Mapping[tuple[str, str], NodeRule] = {
    key: along_one_axis_too(rule, _WEIGHTS[key]) if key in _WEIGHTS else rule for key, rule in _ALL_RULES.items()
}
"""The rule of each operator, by domain and name, in the order of the documentation."""

_OTHER_FUNCTIONS = "Relu, Clip, LeakyRelu, Elu, Sigmoid, Tanh, HardSwish and HardSigmoid can be imported"
_EXPORT_QDQ = "export the model in the QDQ form (QuantizeLinear and DequantizeLinear around float operators)"
_HINTS: Mapping[str, str] = {
    **dict.fromkeys(
        (
            "Celu",
            "Mish",
            "Selu",
            "Softplus",
            "Softsign",
            "ThresholdedRelu",
        ),
        _OTHER_FUNCTIONS,
    ),
    **dict.fromkeys(("QLinearWhere", "QLinearReduceMean", "QAttention", "MatMulIntegerToFloat"), _EXPORT_QDQ),
    **dict.fromkeys(("If", "Loop", "Scan"), "export the model without control flow"),
    **dict.fromkeys(("DynamicQuantizeMatMul", "DynamicQuantizeLSTM"), "quantize the model statically"),
    **dict.fromkeys(("ReduceMax", "ReduceMin", "ReduceProd"), "ReduceMean and ReduceSum can be imported"),
}


def hint_for(op_type: str) -> str:
    """Return what is possible instead of an operator that cannot be imported, or an empty string."""
    return _HINTS.get(op_type, "")


def support_table() -> str:
    """Return the operators and their limits as a Markdown document."""
    named = ((f"{domain}.{op_type}" if domain else op_type, rule) for (domain, op_type), rule in RULES.items())
    rows = "".join(f"| {op_type} | {rule.summary} |\n" for op_type, rule in named)
    return (
        "# ONNX operators\n\n"
        f"Opset {OLDEST_OPSET} and later. The batch, the leading extent, may be symbolic; it becomes 1,\n"
        "or what `--batch` says.\n"
        "This table is generated from `mrqc/frontends/onnx`; a test compares them.\n\n"
        f"| operator | supported |\n|---|---|\n{rows}"
    )
