"""Element by element."""

from __future__ import annotations

from mrqc.backends.tflite.file import Options
from mrqc.backends.tflite.writer import TFLITE_EXPORTS, Site
from mrqc.ir import Op
from mrqc.ops import nn


@TFLITE_EXPORTS.register(nn.Add)
def export_add(op: Op, site: Site) -> None:
    """``ADD``."""
    assert isinstance(op, nn.Add)
    inputs = [site.operand(op.lhs), site.operand(op.rhs)]
    site.finish_clamped(
        "ADD",
        inputs,
        op.clamp,
        lambda activation: Options("AddOptions", (("FusedActivationFunction", activation), ("PotScaleInt16", False))),
    )
