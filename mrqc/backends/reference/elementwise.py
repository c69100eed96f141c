"""``nn.add`` and its kin."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mrqc.backends.interpreter import Array, Kernel
from mrqc.backends.reference.grid import Grid, real_values
from mrqc.backends.reference.rules import RULES
from mrqc.ir import Value
from mrqc.ops.nn import Add, Maximum, Minimum, Mul, Prelu, SquaredDifference, Sub


@RULES.register(Add, Sub)
def add(op: Add | Sub, _: Mapping[Value, Array]) -> Kernel:
    """Return the kernel of an addition or subtraction."""
    grid = _grid(op)
    combine = np.add if isinstance(op, Add) else np.subtract

    def kernel(lhs: Array, rhs: Array) -> Array:
        return grid.encode(combine(grid.units_of(lhs, op.lhs.type), grid.units_of(rhs, op.rhs.type)))

    return kernel


@RULES.register(SquaredDifference)
def squared_difference(op: SquaredDifference, _: Mapping[Value, Array]) -> Kernel:
    """Return the kernel of the square of a difference."""
    grid = Grid(op.element, max(op.lhs.type.rank, op.rhs.type.rank))

    def kernel(lhs: Array, rhs: Array) -> Array:
        difference = real_values(lhs, op.lhs.type) - real_values(rhs, op.rhs.type)
        return grid.encode(difference * difference / grid.unit)

    return kernel


@RULES.register(Mul)
def mul(op: Mul, _: Mapping[Value, Array]) -> Kernel:
    """Return the kernel of a product."""
    grid = _grid(op)

    def kernel(lhs: Array, rhs: Array) -> Array:
        return grid.encode(grid.units_of(lhs, op.lhs.type) * real_values(rhs, op.rhs.type))

    return kernel


@RULES.register(Maximum, Minimum)
def extremum(op: Maximum | Minimum, _: Mapping[Value, Array]) -> Kernel:
    """Return the kernel of the greater or the lesser operand."""
    grid = Grid(op.element, max(op.lhs.type.rank, op.rhs.type.rank))
    choose = np.maximum if isinstance(op, Maximum) else np.minimum

    def kernel(lhs: Array, rhs: Array) -> Array:
        return grid.encode(choose(grid.units_of(lhs, op.lhs.type), grid.units_of(rhs, op.rhs.type)))

    return kernel


@RULES.register(Prelu)
def prelu(op: Prelu, _: Mapping[Value, Array]) -> Kernel:
    """Return the kernel of a PReLU."""
    grid = Grid(op.element, op.input.type.rank)

    def kernel(array: Array, slope: Array) -> Array:
        units = grid.units_of(array, op.input.type)
        return grid.encode(np.where(units < 0, units * real_values(slope, op.slope.type), units))

    return kernel


def _grid(op: Add | Sub | Mul) -> Grid:
    return Grid(op.element, max(op.lhs.type.rank, op.rhs.type.rank), op.clamp)
