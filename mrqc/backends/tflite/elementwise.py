"""Element by element."""

from __future__ import annotations

from mrqc.backends.tflite.file import Options
from mrqc.backends.tflite.writer import TFLITE_EXPORTS, Site
from mrqc.errors import RefusalError
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


@TFLITE_EXPORTS.register(nn.Sub)
def export_sub(op: Op, site: Site) -> None:
    """``SUB``."""
    assert isinstance(op, nn.Sub)
    inputs = [site.operand(op.lhs), site.operand(op.rhs)]
    site.finish_clamped(
        "SUB",
        inputs,
        op.clamp,
        lambda activation: Options("SubOptions", (("FusedActivationFunction", activation), ("PotScaleInt16", False))),
    )


@TFLITE_EXPORTS.register(nn.Mul)
def export_mul(op: Op, site: Site) -> None:
    """``MUL``."""
    assert isinstance(op, nn.Mul)
    inputs = [site.operand(op.lhs), site.operand(op.rhs)]
    site.finish_clamped(
        "MUL", inputs, op.clamp, lambda activation: Options("MulOptions", (("FusedActivationFunction", activation),))
    )


@TFLITE_EXPORTS.register(nn.Maximum, nn.Minimum)
def export_extremum(op: Op, site: Site) -> None:
    """``MAXIMUM`` or ``MINIMUM``, which compare codes."""
    assert isinstance(op, nn.Maximum | nn.Minimum)
    if not op.lhs.type.element == op.rhs.type.element == op.element:
        raise RefusalError(f"{op.mnemonic} of different scales: TFLite compares codes")
    builtin = "MAXIMUM" if isinstance(op, nn.Maximum) else "MINIMUM"
    site.finish(builtin, [site.operand(op.lhs), site.operand(op.rhs)], Options("MaximumMinimumOptions"))


@TFLITE_EXPORTS.register(nn.Prelu)
def export_prelu(op: Op, site: Site) -> None:
    """``PRELU``."""
    assert isinstance(op, nn.Prelu)
    site.finish("PRELU", [site.operand(op.input), site.operand(op.slope)])
