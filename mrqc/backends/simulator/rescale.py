"""``int.rescale``."""

from __future__ import annotations

import numpy as np

from mrqc.backends.interpreter import Array, Kernel
from mrqc.backends.simulator.requantize import Requantizer
from mrqc.backends.simulator.rules import RULES, Facts
from mrqc.ops.int import Rescale


@RULES.register(Rescale)
def rescale(op: Rescale, facts: Facts) -> Kernel:
    """Return the kernel of a change of quantization."""
    requantize = Requantizer(op.requantize, facts.bound, op.element.dtype)

    def kernel(codes: Array) -> Array:
        flat = codes.reshape(-1)

        def accumulate(chunk: slice) -> Array:
            # Activations have at most 16 bits: the difference fits 32.
            return flat[chunk].astype(np.int32) - op.input_zero_point

        return requantize.chunks(codes.shape, accumulate)

    return kernel
