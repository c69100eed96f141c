"""``nn.add``."""

from __future__ import annotations

from collections.abc import Mapping

from mrqc.backends.interpreter import Array, Kernel
from mrqc.backends.reference.grid import Grid
from mrqc.backends.reference.rules import RULES
from mrqc.ir import Value
from mrqc.ops.nn import Add


@RULES.register(Add)
def add(op: Add, _: Mapping[Value, Array]) -> Kernel:
    """Return the kernel of an addition."""
    grid = Grid(op.element, max(op.lhs.type.rank, op.rhs.type.rank), op.clamp)

    def kernel(lhs: Array, rhs: Array) -> Array:
        return grid.encode(grid.units_of(lhs, op.lhs.type) + grid.units_of(rhs, op.rhs.type))

    return kernel
