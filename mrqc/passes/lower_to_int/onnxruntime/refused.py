"""Ops that the runtime computes in floats, in an order that depends on the processor or is not known."""

from __future__ import annotations

from collections.abc import Mapping

from mrqc.errors import RefusalError
from mrqc.ir.op import Op, Value
from mrqc.ops import nn
from mrqc.passes.lower_to_int.onnxruntime.rules import ONNXRUNTIME_LOWERINGS
from mrqc.passes.lower_to_int.rules import Site

_REASONS: Mapping[type[Op], tuple[str, str]] = {
    nn.LogSoftmax: ("the runtime computes it in floats, with a logarithm of its own", "softmax runs on codes"),
    nn.TransposeConv2D: (
        "the runtime computes it as a product of float matrices, whose order depends on the processor",
        "a linear resize and a convolution run",
    ),
    nn.BatchNormalization: ("it is computed in floats", "export the model with it folded into the layer before it"),
    nn.SquaredDifference: ("the runtime computes it in floats", "a product and a difference run"),
    nn.Sum: ("the runtime computes it in floats", "a mean over height and width runs"),
    nn.Relabel: ("the runtime reads codes at the scale that they are quantized at", "multiply them"),
    nn.Dequantize: ("what follows is computed in floats", "quantize it: the target runs quantized models only"),
}


@ONNXRUNTIME_LOWERINGS.register(*_REASONS)
def refuse(op: Op, site: Site) -> Value:
    """Refuse, naming the op, the target and what the runtime does instead."""
    reason, hint = _REASONS[type(op)]
    raise RefusalError(f"{op.mnemonic} cannot be run with the arithmetic of {site.target.name}: {reason}", hint)
