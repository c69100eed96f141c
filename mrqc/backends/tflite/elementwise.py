"""Element by element."""

from __future__ import annotations

from collections.abc import Mapping

from mrqc.backends.tflite.file import Options
from mrqc.backends.tflite.writer import TFLITE_EXPORTS, Site
from mrqc.errors import RefusalError
from mrqc.ir import DType, Op
from mrqc.ops import nn

_GENERAL_KERNEL = (("PotScaleInt16", False),)
"""Not the kernel that shifts 16-bit codes between scales that are powers of two."""
_ARITHMETIC: Mapping[type[Op], tuple[str, str, tuple[tuple[str, bool], ...]]] = {
    nn.Add: ("ADD", "AddOptions", _GENERAL_KERNEL),
    nn.Sub: ("SUB", "SubOptions", _GENERAL_KERNEL),
    nn.Mul: ("MUL", "MulOptions", ()),
}


@TFLITE_EXPORTS.register(*_ARITHMETIC)
def export_arithmetic(op: Op, site: Site) -> None:
    """``ADD``, ``SUB`` and ``MUL``."""
    assert isinstance(op, nn.Add | nn.Sub | nn.Mul)
    builtin, options, fields = _ARITHMETIC[type(op)]
    site.finish_clamped(
        builtin,
        [site.operand(op.lhs), site.operand(op.rhs)],
        op.clamp,
        lambda activation: Options(options, (("FusedActivationFunction", activation), *fields)),
    )


@TFLITE_EXPORTS.register(nn.Maximum, nn.Minimum)
def export_extremum(op: Op, site: Site) -> None:
    """``MAXIMUM`` or ``MINIMUM``, which compare codes: operands of another scale than the result's get that first."""
    assert isinstance(op, nn.Maximum | nn.Minimum)
    builtin = "MAXIMUM" if isinstance(op, nn.Maximum) else "MINIMUM"
    inputs = [site.at(op.lhs, op.element), site.at(op.rhs, op.element)]
    site.finish(builtin, inputs, Options("MaximumMinimumOptions"))


@TFLITE_EXPORTS.register(nn.SquaredDifference)
def export_squared_difference(op: Op, site: Site) -> None:
    """``SQUARED_DIFFERENCE``, of floats and i8."""
    assert isinstance(op, nn.SquaredDifference)
    if op.element.is_quantized and {op.lhs.type.dtype, op.rhs.type.dtype, op.element.dtype} != {DType.I8}:
        raise RefusalError(f"the square of a difference of {op.lhs.type.dtype} codes: TFLite has it for i8")
    site.finish("SQUARED_DIFFERENCE", [site.operand(op.lhs), site.operand(op.rhs)], Options("SquaredDifferenceOptions"))


@TFLITE_EXPORTS.register(nn.Prelu)
def export_prelu(op: Op, site: Site) -> None:
    """``PRELU``."""
    assert isinstance(op, nn.Prelu)
    site.finish("PRELU", [site.operand(op.input), site.operand(op.slope)])
