"""``int.sum``."""

from __future__ import annotations

import numpy as np

from mrqc.backends.interpreter import Array, Kernel
from mrqc.backends.simulator.requantize import Requantizer, accumulator_dtype
from mrqc.backends.simulator.rules import RULES, Facts
from mrqc.ops.int import Sum


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
