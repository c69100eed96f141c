"""ADD and its kin."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce

import numpy as np

from mrqc.frontends.constants import Constant, UnsupportedError
from mrqc.frontends.tflite.site import Site, Support
from mrqc.frontends.tflite.windows import FUSED, fused_clamp
from mrqc.ir.dtype import DType
from mrqc.ir.op import Value
from mrqc.ir.types import FLOAT, Element
from mrqc.numerics import power_of_two_exponent
from mrqc.ops import nn

_POWER_OF_TWO_TOLERANCE = 1e-3
"""How far a scale may be off, in octaves, for the runtime to take it for a power of two; relatively, a bit less."""


def import_add(site: Site) -> Value:
    """Tensors that can be stretched over each other, floats or codes; a clamp as fused activation."""
    lhs, rhs, element = read_operands(site)
    check_powers_of_two(site, lhs.type.element, rhs.type.element, element)
    return site.emit(nn.Add(lhs, rhs, fused_clamp(site), element))


def import_sub(site: Site) -> Value:
    """As ADD."""
    lhs, rhs, element = read_operands(site)
    check_powers_of_two(site, lhs.type.element, rhs.type.element, element)
    return site.emit(nn.Sub(lhs, rhs, fused_clamp(site), element))


def import_mul(site: Site) -> Value:
    """Tensors that can be stretched over each other, floats or codes; a clamp as fused activation."""
    lhs, rhs, element = read_operands(site)
    return site.emit(nn.Mul(lhs, rhs, fused_clamp(site), element))


def import_maximum(site: Site) -> Value:
    """Tensors that can be stretched over each other, floats or codes."""
    return site.emit(nn.Maximum(*read_operands(site)))


def import_minimum(site: Site) -> Value:
    """Tensors that can be stretched over each other, floats or codes."""
    return site.emit(nn.Minimum(*read_operands(site)))


def import_squared_difference(site: Site) -> Value:
    """Tensors that can be stretched over each other, floats or codes."""
    return site.emit(nn.SquaredDifference(*read_operands(site)))


def import_prelu(site: Site) -> Value:
    """Floats or codes, with a slope that can be stretched over the operand."""
    return site.emit(nn.Prelu(*read_operands(site)))


def import_neg(site: Site) -> Value:
    """Floats."""
    value = _float_value(site)
    factor = Constant("", np.full((1,) * value.type.rank, -1.0, np.float32), FLOAT)
    return site.emit(nn.Mul(value, site.emitted(factor), element=FLOAT))


def import_square(site: Site) -> Value:
    """Floats."""
    value = _float_value(site)
    return site.emit(nn.Mul(value, value, element=FLOAT))


def import_add_n(site: Site) -> Value:
    """Any number of floats of one shape."""
    values = [_float_value(site, index) for index in range(len(site.operator.inputs))]
    if any(value.type != values[0].type for value in values):
        raise UnsupportedError("its operands have different shapes")
    return reduce(lambda lhs, rhs: site.emit(nn.Add(lhs, rhs, element=FLOAT)), values)


def _float_value(site: Site, index: int = 0) -> Value:
    """Return an operand that holds floats, as the result does.

    Raises:
        UnsupportedError: One of them does not.
    """
    value = site.real_value(index)
    if FLOAT not in (value.type.element, site.real_element(value)):
        raise UnsupportedError(f"of {value.type.dtype} codes", "the runtime has it for floats")
    return value


def read_operands(site: Site) -> tuple[Value, Value, Element]:
    """Return both operands and the element of the result, all stored alike.

    Raises:
        UnsupportedError: They are not.
    """
    lhs, rhs = site.real_value(0), site.real_value(1)
    site.real_element(rhs)
    return lhs, rhs, site.real_element(lhs)


def check_powers_of_two(site: Site, *elements: Element) -> None:
    """Refuse what the runtime shifts by other rules: symmetric 16-bit codes whose scales are different powers of two.

    With three equal scales nothing is shifted, and the sum is the one of the general kernel.

    Raises:
        UnsupportedError: The operator asks for that kernel, and the elements fit it.
    """
    quantizations = [element.quantization for element in elements if element.dtype is DType.I16]
    fits = len(set(quantizations)) > 1 and all(
        quantization is not None
        and quantization.is_symmetric
        and power_of_two_exponent(quantization.scale, _POWER_OF_TWO_TOLERANCE) is not None
        for quantization in quantizations
    )
    if fits and site.flag("pot_scale_int16"):
        raise UnsupportedError(
            "pot_scale_int16 on scales that are different powers of two is not supported",
            "possible: pot_scale_int16 = false",
        )


ELEMENTWISE_RULES: Mapping[str, Support] = {
    "ADD": Support(import_add, (2, 2), "AddOptions", (FUSED, "pot_scale_int16")),
    "SUB": Support(import_sub, (2, 2), "SubOptions", (FUSED, "pot_scale_int16")),
    "MUL": Support(import_mul, (2, 2), "MulOptions", (FUSED,)),
    "MAXIMUM": Support(import_maximum, (2, 2), "MaximumMinimumOptions"),
    "MINIMUM": Support(import_minimum, (2, 2), "MaximumMinimumOptions"),
    "SQUARED_DIFFERENCE": Support(import_squared_difference, (2, 2), "SquaredDifferenceOptions"),
    "PRELU": Support(import_prelu, (2, 2)),
    "NEG": Support(import_neg, (1, 1), "NegOptions"),
    "SQUARE": Support(import_square, (1, 1), "SquareOptions"),
    "ADD_N": Support(import_add_n, (2, 4096), "AddNOptions"),
}
"""Operators that combine two tensors element by element."""
