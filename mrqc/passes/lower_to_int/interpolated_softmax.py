"""Softmax of 16-bit codes: exponentials and reciprocals read between the entries of tables."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mrqc.ir.data import Data
from mrqc.ir.dtype import DType
from mrqc.ir.op import Value
from mrqc.ir.types import Element
from mrqc.numerics import FixedPoint, Rounding, round_half_away
from mrqc.ops import int as int_ops
from mrqc.ops import nn
from mrqc.passes.lower_to_int.rules import Site

_STEPS = 512
"""Intervals of the tables."""

_FARTHEST = 10.0
"""Below minus this, exponentials count as nothing."""

ARGUMENT_UNIT = _FARTHEST / 65535.0
"""What one step of the exponential's argument stands for."""


def interpolated_softmax(op: nn.Softmax, factor: FixedPoint, rounding: Rounding, site: Site) -> Value:
    """Return the softmax of 16-bit codes, in Q0.15.

    Args:
        op: The softmax.
        factor: From codes to units of :data:`ARGUMENT_UNIT`.
        rounding: Of that product.
        site: Where to emit.
    """
    tables = (
        _interpolation_table(-_FARTHEST, 0.0, math.exp),
        _interpolation_table(0.0, 1.0, lambda x: 1.0 / (1.0 + x)),
    )
    powers, shares = (
        site.emit(int_ops.Constant(Data.of(entries, DType.I16), Element(DType.I16))) for entries in tables
    )
    return site.emit(
        int_ops.InterpolatedSoftmax(op.input, powers, shares, factor.multiplier, factor.shift, rounding, op.element)
    )


def _interpolation_table(low: float, high: float, function: Callable[[float], float]) -> NDArray[np.int64]:
    """Return 513 entries in Q0.15, each moved by half of what interpolation would be off in the middle behind it."""
    # The runtime describes the interval by the scale and zero point of 16-bit codes, which has its own rounding.
    scale = (high - low) / 65535
    first = scale * (-32768 - (32767 if low < 0 else -32768))
    last = scale * (32767 - (32767 if low < 0 else -32768))
    unit = 65536 / ((2.0 / 65535) * 32767 - (2.0 / 65535) * -32768)
    step = (last - first) / _STEPS
    entries: list[float] = []
    for index in range(_STEPS):
        place = first + index * step
        here, middle, there = (function(x) for x in (place, place + step / 2, first + (index + 1) * step))
        between = round_half_away((there * unit + round_half_away(here * unit)) / 2)
        bias = round_half_away((between - round_half_away(middle * unit)) / 2)
        entries.append(round_half_away(here * unit) - bias)
    entries.append(round_half_away(function(last) * unit))
    return np.clip(entries, -32768, 32767).astype(np.int64)
