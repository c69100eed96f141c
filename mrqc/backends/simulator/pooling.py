"""``int.average_pool2d``, ``int.mean_pool2d`` and ``int.max_pool2d``."""

from __future__ import annotations

import numpy as np

from mrqc.backends.interpreter import Array, Kernel
from mrqc.backends.simulator.requantize import Requantizer, accumulator_dtype
from mrqc.backends.simulator.rules import RULES, Facts
from mrqc.numerics import window_counts, window_maxima, window_sums
from mrqc.ops.int import AveragePool2D, MaxPool2D, MeanPool2D


@RULES.register(AveragePool2D)
def average_pool2d(op: AveragePool2D, facts: Facts) -> Kernel:
    """Return the kernel of an average pool: sums, then requantization."""
    dtype = accumulator_dtype(facts.bound)
    requantize = Requantizer(op.requantize, facts.bound, op.element.dtype)

    def kernel(images: Array) -> Array:
        sums = window_sums(images, op.window, dtype, op.input_zero_point)
        flat = sums.reshape(-1)
        return requantize.chunks(sums.shape, lambda chunk: flat[chunk])

    return kernel


@RULES.register(MeanPool2D)
def mean_pool2d(op: MeanPool2D, _: Facts) -> Kernel:
    """Return the kernel of a mean pool: sums, then a division that rounds half away from zero."""
    height, width = op.input.type.shape[1:3]
    counts = window_counts(op.window, height, width)[None, :, :, None]
    dtype = op.element.dtype.numpy

    def kernel(images: Array) -> Array:
        sums = window_sums(images, op.window, np.dtype(np.int64))
        means = np.sign(sums) * ((np.abs(sums) + counts // 2) // counts)
        return np.clip(means, op.minimum, op.maximum).astype(dtype)

    return kernel


@RULES.register(MaxPool2D)
def max_pool2d(op: MaxPool2D, _: Facts) -> Kernel:
    """Return the kernel of a maximum pool."""

    def kernel(images: Array) -> Array:
        return window_maxima(images, op.window)

    return kernel
