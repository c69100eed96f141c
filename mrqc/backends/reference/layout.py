"""``nn.reshape`` and ``nn.transpose``."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mrqc.backends.interpreter import Array, Kernel
from mrqc.backends.reference.rules import RULES
from mrqc.ir import Value
from mrqc.ops.nn import Reshape, Transpose


@RULES.register(Reshape)
def reshape(op: Reshape, _: Mapping[Value, Array]) -> Kernel:
    """Return the kernel of a reshape."""
    # -1 takes the batches in; a scalar has none.
    shape = (-1, *op.shape[1:]) if op.shape else ()

    def kernel(array: Array) -> Array:
        return array.reshape(shape)

    return kernel


@RULES.register(Transpose)
def transpose(op: Transpose, _: Mapping[Value, Array]) -> Kernel:
    """Return the kernel of a transpose."""

    def kernel(array: Array) -> Array:
        return np.ascontiguousarray(array.transpose(op.permutation))

    return kernel
