"""``int.sum`` and ``int.arg_max``."""

from __future__ import annotations

import numpy as np

from mrqc.backends.interpreter import Array, Kernel
from mrqc.backends.simulator.requantize import Requantizer, accumulator_dtype
from mrqc.backends.simulator.rules import RULES, Facts
from mrqc.ops.int import ArgMax, Sum


@RULES.register(Sum)
def reduce_sum(op: Sum, facts: Facts) -> Kernel:
    """Return the kernel of a sum along axes."""
    dtype = accumulator_dtype(facts.bound)
    requantize = Requantizer(op.requantize, facts.bound, op.element.dtype)

    def kernel(codes: Array) -> Array:
        centred = codes.astype(dtype) - dtype.type(op.input_zero_point)
        sums = np.asarray(centred.sum(axis=op.axes, keepdims=op.keep_dims, dtype=dtype))
        flat = sums.reshape(-1)
        return requantize.chunks(sums.shape, lambda chunk: flat[chunk])

    return kernel


@RULES.register(ArgMax)
def arg_max(op: ArgMax, _: Facts) -> Kernel:
    """Return the kernel that finds the first of the greatest, or least, codes."""
    dtype = op.element.dtype.numpy
    find = np.argmin if op.smallest else np.argmax

    def kernel(codes: Array) -> Array:
        return np.asarray(find(codes, axis=op.axis, keepdims=op.keep_dims)).astype(dtype)

    return kernel
