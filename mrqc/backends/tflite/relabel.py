"""The same codes at another scale and zero point, in arithmetic that gives each code again.

``ADD`` of a constant moves the zero point: at one scale for operands and result its multipliers are powers of two, and
nothing is rounded. ``MUL`` by a constant changes the scale: a code times 64 is divided by 64, up to the rounding of one
scale to single precision, which no code is large enough to feel.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mrqc.backends.tflite.file import Options
from mrqc.backends.tflite.writer import TFLITE_EXPORTS, Site
from mrqc.errors import RefusalError
from mrqc.ir import Data, DType, Element, Op
from mrqc.ops import nn

_ADD = Options("AddOptions", (("PotScaleInt16", False),))
_MUL = Options("MulOptions")
_FACTOR_CODE = 64
"""The code that stands for the factor: the multiplier of the product, 1 / 64, is small enough for every kernel."""
_CODES = (DType.I8, DType.U8, DType.I16)


@TFLITE_EXPORTS.register(nn.Relabel)
def export_relabel(op: Op, site: Site) -> None:
    """``ADD`` of a constant for the zero point, ``MUL`` by one for the scale, also of floats."""
    assert isinstance(op, nn.Relabel)
    element = op.input.type.element
    if element.quantization is None:
        factors = Data(np.asarray(op.factors, np.float32))
        site.finish("MUL", [site.operand(op.input), site.writer.constant("factors", factors, element)], _MUL)
        return
    factor, *others = op.factors
    if others or not element.quantization.is_per_tensor or element.dtype not in _CODES:
        raise RefusalError(
            f"{op.mnemonic} of {element.dtype} codes with a scale for each channel or of more than 16 bits",
            "take the factors into the layers around it",
        )
    value = site.operand(op.input)
    if op.zero_point_shift or factor == 1.0:
        operands = [value, _offset(element, op.zero_point_shift, site)]
        if factor == 1.0:
            site.finish("ADD", operands, _ADD)
            return
        zero_point = element.quantization.zero_point + op.zero_point_shift
        shifted = replace(element, quantization=replace(element.quantization, zero_points=(zero_point,)))
        value = site.step("ADD", operands, op.input.type.with_element(shifted), _ADD)
    scale = site.result.type.element.quantization
    assert scale is not None
    unit = float(np.float32(scale.scale)) / (float(np.float32(element.quantization.scale)) * _FACTOR_CODE)
    constant = Data.of(np.array([_FACTOR_CODE]), element.dtype)
    site.finish("MUL", [value, site.writer.constant("factor", constant, Element.per_tensor(element.dtype, unit))], _MUL)


def _offset(element: Element, shift: int, site: Site) -> int:
    """Return the constant by which real values change where the zero point moves."""
    assert element.quantization is not None
    code = min(max(-shift, element.dtype.minimum), element.dtype.maximum)
    # What is beyond the codes is a matter of the constant's own zero point.
    label = Element.per_tensor(element.dtype, element.quantization.scale, code + shift)
    return site.writer.constant("offset", Data.of(np.array([code]), element.dtype), label)
