"""``int.resize_bilinear``."""

from __future__ import annotations

import numpy as np

from mrqc.backends.interpreter import Array, Kernel
from mrqc.backends.simulator.rules import RULES, Facts
from mrqc.numerics import divide_by_power_of_two
from mrqc.ops.int import Interpolation, ResizeBilinear


@RULES.register(ResizeBilinear)
def resize_bilinear(op: ResizeBilinear, _: Facts) -> Kernel:
    """Return the kernel of an interpolation, exact in 64 bits until the one rounding."""
    dtype = op.input.type.dtype.numpy

    def kernel(images: Array) -> Array:
        down = _interpolated(images.astype(np.int64), op.rows, 1, op.bits)
        sums = _interpolated(down, op.columns, 2, op.bits)
        return divide_by_power_of_two(sums, 2 * op.bits, op.rounding).astype(dtype)

    return kernel


def _interpolated(values: Array, between: Interpolation, axis: int, bits: int) -> Array:
    weight = np.asarray(between.weight, np.int64).reshape((-1,) + (1,) * (3 - axis))
    first, second = (np.take(values, indices, axis) for indices in (between.lower, between.upper))
    return first * ((1 << bits) - weight) + second * weight
