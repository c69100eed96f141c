"""Average and max pools."""

from __future__ import annotations

import math
from dataclasses import replace

from mrqc.errors import RefusalError
from mrqc.ir.op import Op, Value
from mrqc.ir.types import Element
from mrqc.ops import int as int_ops
from mrqc.ops import nn
from mrqc.ops.int import Requantize
from mrqc.passes.lower_to_int.activation import clamped
from mrqc.passes.lower_to_int.multipliers import requantization
from mrqc.passes.lower_to_int.rules import LOWERINGS, Site, operand, per_tensor, result_scale


@LOWERINGS.register(nn.AveragePool2D)
def lower_average_pool2d(op: Op, site: Site) -> Value:
    """A sum whose multiplier divides by the count."""
    assert isinstance(op, nn.AveragePool2D)
    if op.window.is_padded and not op.count_include_pad:
        raise RefusalError(
            "windows at the border average fewer elements, and the target has one multiplier for the layer",
            "export the pool with count_include_pad=1 or without padding",
        )
    requantize = averaged(op.input, op.kernel, op.element, op.clamp, site)
    strides = op.window.needed_strides(*op.input.type.shape[1:3])
    zero_point = per_tensor(op.input).zero_point
    return site.emit(
        int_ops.AveragePool2D(op.input, op.kernel, strides, op.padding, requantize, op.element, zero_point)
    )


def averaged(
    value: Value, kernel: tuple[int, int], element: Element, clamp: tuple[float, float], site: Site
) -> Requantize:
    """Return the arithmetic from the sums of an average pool to means.

    Args:
        value: What is pooled.
        kernel: Height and width of the window.
        element: Of the means.
        clamp: What they are confined to.
        site: Where the rule works.

    Raises:
        RefusalError: The ratio of the scales is none that the target has.
    """
    arithmetic = site.arithmetic(int_ops.AveragePool2D.mnemonic)
    limits = site.limits(element, clamp)
    ratio = operand(value, site).scale / result_scale(element)
    reciprocal = None if arithmetic.support is None else arithmetic.support.reciprocal(kernel)
    if reciprocal is None:
        return requantization([ratio / math.prod(kernel)], arithmetic, element, limits)
    one = requantization([math.ldexp(ratio, -reciprocal.shift)], arithmetic, element, limits)
    return replace(one, multiplier=(reciprocal.multiplier,))


@LOWERINGS.register(nn.MaxPool2D)
def lower_max_pool2d(op: Op, site: Site) -> Value:
    """The greatest code is the greatest value: the scale stays."""
    assert isinstance(op, nn.MaxPool2D)
    per_tensor(op.input)
    if op.element != op.input.type.element:
        raise RefusalError("a max pool cannot change the scale", "run the pass 'requantize' first")
    pooled = site.emit(int_ops.MaxPool2D(op.input, op.kernel, op.strides, op.padding))
    return clamped(pooled, op.clamp, site)
