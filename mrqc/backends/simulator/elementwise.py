"""``int.add``."""

from __future__ import annotations

import numpy as np

from mrqc.backends.interpreter import Array, Kernel
from mrqc.backends.simulator.requantize import Requantizer, accumulator_dtype
from mrqc.backends.simulator.rules import RULES, Facts
from mrqc.ops.int import Add


@RULES.register(Add)
def add(op: Add, facts: Facts) -> Kernel:
    """Return the kernel of an addition of two scaled operands."""
    dtype = accumulator_dtype(facts.bound)
    requantize = Requantizer(op.requantize, facts.bound, op.element.dtype)

    def kernel(lhs: Array, rhs: Array) -> Array:
        if lhs.shape != rhs.shape:
            # One operand depends on no input: it is one image against a batch.
            lhs, rhs = np.broadcast_arrays(lhs, rhs)
        flat_lhs, flat_rhs = lhs.reshape(-1), rhs.reshape(-1)

        def accumulate(chunk: slice) -> Array:
            total = flat_lhs[chunk].astype(dtype)
            total *= op.lhs_multiplier
            other = flat_rhs[chunk].astype(dtype)
            other *= op.rhs_multiplier
            total += other
            return total

        return requantize.chunks(lhs.shape, accumulate)

    return kernel
