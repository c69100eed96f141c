"""``int.reshape`` and ``int.transpose``."""

from __future__ import annotations

import numpy as np

from mrqc.backends.interpreter import Array, Kernel
from mrqc.backends.simulator.rules import RULES, Facts
from mrqc.ops.int import Reshape, Transpose


@RULES.register(Reshape)
def reshape(op: Reshape, _: Facts) -> Kernel:
    """Return the kernel of a reshape."""
    # -1 takes the batches in; a scalar has none.
    shape = (-1, *op.shape[1:]) if op.shape else ()

    def kernel(codes: Array) -> Array:
        return codes.reshape(shape)

    return kernel


@RULES.register(Transpose)
def transpose(op: Transpose, _: Facts) -> Kernel:
    """Return the kernel of a transpose."""

    def kernel(codes: Array) -> Array:
        return np.ascontiguousarray(codes.transpose(op.permutation))

    return kernel
