"""``int.clamp`` and ``int.softmax``."""

from __future__ import annotations

import numpy as np

from mrqc.backends.interpreter import Array, Kernel
from mrqc.backends.simulator.rules import RULES, Facts
from mrqc.ops.int import Clamp, Softmax


@RULES.register(Clamp)
def clamp(op: Clamp, _: Facts) -> Kernel:
    """Return the kernel of a clamp."""

    def kernel(codes: Array) -> Array:
        return np.clip(codes, op.minimum, op.maximum)

    return kernel


@RULES.register(Softmax)
def softmax(op: Softmax, _: Facts) -> Kernel:
    """Return the kernel of a softmax by table and integer division, in 64 bits."""
    dtype = op.element.dtype.numpy

    def kernel(codes: Array, table: Array) -> Array:
        distances = codes.max(axis=-1, keepdims=True).astype(np.int64) - codes
        exponentials = table.astype(np.int64)[distances]
        totals = exponentials.sum(axis=-1, keepdims=True)
        shares = (exponentials * op.one + totals // 2) // totals
        return np.clip(shares + op.zero_point, op.minimum, op.maximum).astype(dtype)

    return kernel
