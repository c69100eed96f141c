"""``int.constant``."""

from __future__ import annotations

from mrqc.backends.interpreter import Array, Kernel
from mrqc.backends.simulator.rules import RULES, Facts
from mrqc.ops.int import Constant


@RULES.register(Constant)
def constant(op: Constant, _: Facts) -> Kernel:
    """Return the kernel of a constant."""

    def kernel() -> Array:
        return op.value.array

    return kernel
