"""``nn.constant``."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mrqc.backends.interpreter import Array, Kernel
from mrqc.backends.reference.rules import RULES
from mrqc.ir import Value
from mrqc.ops.nn import Constant


@RULES.register(Constant)
def constant(op: Constant, _: Mapping[Value, Array]) -> Kernel:
    """Return the kernel of a constant: its codes, or doubles."""
    array = op.value.array if op.element.dtype.is_integer else op.value.array.astype(np.float64)

    def kernel() -> Array:
        return array

    return kernel
