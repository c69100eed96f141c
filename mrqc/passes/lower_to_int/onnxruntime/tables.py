"""Functions of one code: the runtime dequantizes, computes and quantizes, all of it known beforehand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mrqc.ir.op import Op, Value
from mrqc.ir.types import Element
from mrqc.numerics.float32 import Single
from mrqc.ops import int as int_ops
from mrqc.ops import nn
from mrqc.passes.lower_to_int.onnxruntime.rules import ONNXRUNTIME_LOWERINGS
from mrqc.passes.lower_to_int.onnxruntime.single import dequantized_codes, emit_table, quantized
from mrqc.passes.lower_to_int.rules import Site


def looked_up(
    value: Value, element: Element, site: Site, function: Callable[[Single], Single], limits: tuple[int, int]
) -> Value:
    """Return a function of ``value`` in the codes of ``element``, or the value itself where no code changes."""
    codes = quantized(function(dequantized_codes(value)), element, limits)
    if value.type.element == element and np.array_equal(codes, np.arange(limits[0], limits[1] + 1)):
        return value
    return site.emit(int_ops.Table(value, emit_table(codes, element, site), element))


def _same(reals: Single) -> Single:
    return reals


@ONNXRUNTIME_LOWERINGS.register(nn.Quantize)
def lower_quantize(op: Op, site: Site) -> Value:
    """From one scale to another, over the real values."""
    assert isinstance(op, nn.Quantize)
    return looked_up(op.input, op.element, site, _same, site.limits(op.element))


@ONNXRUNTIME_LOWERINGS.register(nn.Clip)
def lower_clip(op: Op, site: Site) -> Value:
    """Over the real values."""
    assert isinstance(op, nn.Clip)
    low, high = (np.float32(bound) for bound in op.clamp)

    def clip(reals: Single) -> Single:
        return np.clip(reals, low, high)

    return looked_up(op.input, op.element, site, clip, site.limits(op.element))
