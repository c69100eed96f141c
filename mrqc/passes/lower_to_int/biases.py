"""Biases: on the grid of the accumulator, or some bits above it where the hardware shifts them into place."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mrqc.errors import RefusalError
from mrqc.ir.data import Data
from mrqc.ir.dtype import DType
from mrqc.ir.op import Value
from mrqc.ir.types import Element
from mrqc.numerics import Rounding, divide_by_power_of_two, power_of_two_exponent
from mrqc.ops import int as int_ops
from mrqc.ops.int import Requantize
from mrqc.passes.lower_to_int.rules import Site

_TOLERANCE = 1e-6
"""A bias scale counts as the accumulator's if it is this close: files hold the product rounded to single precision."""

_HINT = "run the pass 'requantize' first"


def lowered_bias(bias: Value, grid: Sequence[float], requantize: Requantize, site: Site) -> Value:
    """Return a bias at the scale of the accumulator.

    Args:
        bias: As the ``nn`` op has it.
        grid: Scale of the accumulator: one, or one for each output channel.
        requantize: What follows the accumulator.
        site: Where to emit.

    Raises:
        RefusalError: The bias has another scale, or one that the hardware cannot shift to the accumulator's.
    """
    quantization = bias.type.quantization
    if quantization is None or not quantization.is_symmetric or len(quantization.scales) not in (1, len(grid)):
        raise RefusalError("its bias is not quantized at the scale of its accumulator", _HINT)
    scales = quantization.scales * (len(grid) // len(quantization.scales))
    exponents = {power_of_two_exponent(scale / unit, _TOLERANCE) for scale, unit in zip(scales, grid, strict=True)}
    if exponents == {0}:
        return bias
    shift = exponents.pop() if len(exponents) == 1 else None
    if shift is None or site.target.bias.shift is None:
        scale, unit = next(pair for pair in zip(scales, grid, strict=True) if abs(pair[0] / pair[1] - 1.0) > _TOLERANCE)
        raise RefusalError(f"its bias has scale {scale:.6g}, its accumulator {unit:.6g}", _HINT)
    return _shifted(bias, shift, requantize, site)


def _shifted(bias: Value, shift: int, requantize: Requantize, site: Site) -> Value:
    """Return the codes of a bias moved by ``shift`` bits, as the hardware moves them."""
    scheme = site.target.bias
    assert scheme.shift is not None
    low, high = scheme.least_shift(max(requantize.shift)), scheme.shift[1]
    if not low <= shift <= high:
        raise RefusalError(
            f"its bias would have to be shifted to the left by {shift}, outside [{low}, {high}] (bias.shift)", _HINT
        )
    constant = site.builder.definition(bias)
    if not isinstance(constant, int_ops.Constant):
        raise RefusalError("its bias is computed, and cannot be shifted to the accumulator", _HINT)
    codes = constant.value.array.astype(np.int64)
    codes = codes << shift if shift >= 0 else divide_by_power_of_two(codes, -shift, Rounding.HALF_UP)
    dtype = DType(scheme.dtype)
    assert bias.type.quantization is not None
    # One scale for all channels stays one scale.
    scales = tuple(scale * 2.0**-shift for scale in bias.type.quantization.scales)
    element = Element(dtype, type(bias.type.quantization)(scales, (0,) * len(scales), bias.type.quantization.axis))
    return site.emit(int_ops.Constant(Data.of(codes, dtype), element))
