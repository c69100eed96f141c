"""Means and sums, as average pools."""

from __future__ import annotations

import math

from mrqc.errors import RefusalError
from mrqc.ir.op import Op, Value
from mrqc.ops import int as int_ops
from mrqc.ops import nn
from mrqc.passes.lower_to_int.multipliers import requantization
from mrqc.passes.lower_to_int.pooling import averaged
from mrqc.passes.lower_to_int.rules import LOWERINGS, Site, operand, per_tensor, result_scale


@LOWERINGS.register(nn.Mean, nn.Sum)
def lower_reduction(op: Op, site: Site) -> Value:
    """A pool over an image in which the reduced axes are the height or the width."""
    assert isinstance(op, nn.Mean | nn.Sum)
    image, kernel = _as_image(op, site)
    if isinstance(op, nn.Mean):
        requantize = averaged(op.input, kernel, op.element, nn.UNBOUNDED, site)
    else:
        ratio = operand(op.input, site).scale / result_scale(op.element)
        arithmetic = site.arithmetic(int_ops.AveragePool2D.mnemonic)
        requantize = requantization([ratio], arithmetic, op.element, site.limits(op.element))
    zero_point = per_tensor(op.input).zero_point
    pool = int_ops.AveragePool2D(image, kernel, (1, 1), (0, 0, 0, 0), requantize, op.element, zero_point)
    pooled = site.emit(pool)
    return site.emit(int_ops.Reshape(pooled, op.infer()[0].shape))


def _as_image(op: nn.Mean | nn.Sum, site: Site) -> tuple[Value, tuple[int, int]]:
    """Return an NHWC image of the input's elements, and the kernel that covers what is reduced."""
    shape, first, last = op.input.type.shape, op.axes[0], op.axes[-1]
    if len(shape) == 4 and op.axes == (1, 2):
        return op.input, (shape[1], shape[2])
    if last - first + 1 != len(op.axes) or first == 0:
        raise RefusalError(
            f"a reduction along axes {list(op.axes)} of rank {len(shape)}; they must be neighbours behind the batch"
        )
    rows, columns, channels = math.prod(shape[1:first]), op.count, math.prod(shape[last + 1 :])
    image = site.emit(int_ops.Reshape(op.input, (shape[0], rows, columns, channels)))
    return image, (1, columns)


@LOWERINGS.register(nn.ArgMax)
def lower_arg_max(op: Op, site: Site) -> Value:
    """The greatest code is the greatest value."""
    assert isinstance(op, nn.ArgMax)
    per_tensor(op.input)
    return site.emit(int_ops.ArgMax(op.input, op.axis, op.keep_dims, op.smallest, op.element))
