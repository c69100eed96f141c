"""``nn.average_pool2d`` and ``nn.max_pool2d``."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mrqc.backends.interpreter import Array, Kernel
from mrqc.backends.reference.grid import Grid, Real, integer_operand, real_values
from mrqc.backends.reference.rules import RULES
from mrqc.ir import Value
from mrqc.numerics import window_counts, window_maxima, window_sums
from mrqc.ops.nn import AveragePool2D, MaxPool2D


@RULES.register(AveragePool2D)
def average_pool2d(op: AveragePool2D, _: Mapping[Value, Array]) -> Kernel:
    """Return the kernel of an average pool: exact integer sums where one scale serves the tensor."""
    grid = Grid(op.element, 4, op.clamp)
    integers = integer_operand(op.input.type.element)
    height, width = op.input.type.shape[1:3]
    counts = np.asarray(op.kernel[0] * op.kernel[1])
    if not op.count_include_pad:
        counts = window_counts(op.window, height, width)[None, :, :, None]

    def sums_in_units(images: Array) -> Real:
        if integers is None:
            reals = real_values(images, op.input.type)
            return window_sums(reals, op.window, np.dtype(np.float64)) / grid.unit
        sums = window_sums(images, op.window, np.dtype(np.int64), integers.zero_point)
        return sums * (integers.scale / grid.unit)

    def kernel(images: Array) -> Array:
        return grid.encode(sums_in_units(images) / counts)

    return kernel


@RULES.register(MaxPool2D)
def max_pool2d(op: MaxPool2D, _: Mapping[Value, Array]) -> Kernel:
    """Return the kernel of a maximum pool; as scales are positive, the greatest code wins."""
    grid = Grid(op.element, 4, op.clamp)
    compares_codes = integer_operand(op.input.type.element) is not None

    def kernel(images: Array) -> Array:
        if compares_codes:
            return grid.encode(grid.units_of(window_maxima(images, op.window), op.input.type))
        return grid.encode(window_maxima(real_values(images, op.input.type), op.window) / grid.unit)

    return kernel
