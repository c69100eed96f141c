"""``int.average_pool2d`` and ``int.max_pool2d``."""

from __future__ import annotations

from mrqc.backends.interpreter import Array, Kernel
from mrqc.backends.simulator.requantize import Requantizer, accumulator_dtype
from mrqc.backends.simulator.rules import RULES, Facts
from mrqc.numerics import window_maxima, window_sums
from mrqc.ops.int import AveragePool2D, MaxPool2D


@RULES.register(AveragePool2D)
def average_pool2d(op: AveragePool2D, facts: Facts) -> Kernel:
    """Return the kernel of an average pool: sums, then requantization."""
    dtype = accumulator_dtype(facts.bound)
    requantize = Requantizer(op.requantize, facts.bound, op.element.dtype)

    def kernel(images: Array) -> Array:
        sums = window_sums(images, op.window, dtype)
        flat = sums.reshape(-1)
        return requantize.chunks(sums.shape, lambda chunk: flat[chunk])

    return kernel


@RULES.register(MaxPool2D)
def max_pool2d(op: MaxPool2D, _: Facts) -> Kernel:
    """Return the kernel of a maximum pool."""

    def kernel(images: Array) -> Array:
        return window_maxima(images, op.window)

    return kernel
