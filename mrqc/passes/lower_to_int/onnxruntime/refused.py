"""Ops that this arithmetic does not have."""

from __future__ import annotations

from mrqc.errors import RefusalError
from mrqc.ir.op import Op, Value
from mrqc.ops import nn
from mrqc.passes.lower_to_int.onnxruntime.rules import ONNXRUNTIME_LOWERINGS
from mrqc.passes.lower_to_int.rules import Site


@ONNXRUNTIME_LOWERINGS.register(
    nn.LogSoftmax,
    nn.TransposeConv2D,
    nn.BatchMatMul,
    nn.Sum,
    nn.Dequantize,
)
def refuse(op: Op, site: Site) -> Value:
    """Refuse, naming the op and the target."""
    raise RefusalError(f"{op.mnemonic} cannot be run with the arithmetic of {site.target.name}")
