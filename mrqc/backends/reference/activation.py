"""``nn.clip`` and ``nn.softmax``."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mrqc.backends.interpreter import Array, Kernel
from mrqc.backends.reference.grid import Grid, real_values
from mrqc.backends.reference.rules import RULES
from mrqc.ir import Value
from mrqc.ops.nn import Clip, Softmax


@RULES.register(Clip)
def clip(op: Clip, _: Mapping[Value, Array]) -> Kernel:
    """Return the kernel of a clip."""
    grid = Grid(op.element, op.input.type.rank, op.clamp)

    def kernel(array: Array) -> Array:
        return grid.encode(grid.units_of(array, op.input.type))

    return kernel


@RULES.register(Softmax)
def softmax(op: Softmax, _: Mapping[Value, Array]) -> Kernel:
    """Return the kernel of a softmax along the last axis."""
    grid = Grid(op.element, op.input.type.rank)

    def kernel(array: Array) -> Array:
        reals = real_values(array, op.input.type)
        exponentials = np.exp(reals - reals.max(axis=-1, keepdims=True))
        shares = exponentials / exponentials.sum(axis=-1, keepdims=True)
        return grid.encode(shares / grid.unit)

    return kernel
