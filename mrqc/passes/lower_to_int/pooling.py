"""Average and max pools."""

from __future__ import annotations

import math

from mrqc.errors import RefusalError
from mrqc.ir.op import Op, Value
from mrqc.ops import int as int_ops
from mrqc.ops import nn
from mrqc.passes.lower_to_int.activation import clamped
from mrqc.passes.lower_to_int.multipliers import requantization
from mrqc.passes.lower_to_int.rules import LOWERINGS, Site, per_tensor, result_scale, symmetric_scale


@LOWERINGS.register(nn.AveragePool2D)
def lower_average_pool2d(op: Op, site: Site) -> Value:
    """A sum whose multiplier divides by the count."""
    assert isinstance(op, nn.AveragePool2D)
    if op.window.is_padded and not op.count_include_pad:
        raise RefusalError(
            "windows at the border average fewer elements, and the target has one multiplier for the layer",
            "export the pool with count_include_pad=1 or without padding",
        )
    ratio = symmetric_scale(op.input) / (math.prod(op.kernel) * result_scale(op.element))
    arithmetic = site.arithmetic(int_ops.AveragePool2D.mnemonic)
    requantize = requantization([ratio], arithmetic, op.element, site.limits(op.element, op.clamp))
    strides = op.window.needed_strides(*op.input.type.shape[1:3])
    return site.emit(int_ops.AveragePool2D(op.input, op.kernel, strides, op.padding, requantize, op.element))


@LOWERINGS.register(nn.MaxPool2D)
def lower_max_pool2d(op: Op, site: Site) -> Value:
    """The greatest code is the greatest value: the scale stays."""
    assert isinstance(op, nn.MaxPool2D)
    per_tensor(op.input)
    if op.element != op.input.type.element:
        raise RefusalError("a max pool cannot change the scale", "run the pass 'requantize' first")
    pooled = site.emit(int_ops.MaxPool2D(op.input, op.kernel, op.strides, op.padding))
    return clamped(pooled, op.clamp, site)
