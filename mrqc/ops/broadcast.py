"""How the operands of a binary op are stretched over each other, as numpy does it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest

from mrqc.ir.op import Value


def broadcast_shape(lhs: tuple[int, ...], rhs: tuple[int, ...]) -> tuple[int, ...] | None:
    """Return the shape that two shapes are stretched to, or None where they do not fit each other.

    Axes are matched from the last one; missing ones count as extent 1, and an extent of 1 is repeated.
    """
    extents: list[int] = []
    for first, second in zip_longest(reversed(lhs), reversed(rhs), fillvalue=1):
        if first != second and 1 not in (first, second):
            return None
        extents.append(max(first, second))
    return tuple(reversed(extents))


def broadcast_problems(lhs: Value, rhs: Value) -> Iterator[str]:
    """Yield a sentence where two operands do not fit each other."""
    if broadcast_shape(lhs.type.shape, rhs.type.shape) is None:
        yield f"shapes {list(lhs.type.shape)} and {list(rhs.type.shape)} differ in more than axes of extent 1"


def result_shape(lhs: Value, rhs: Value) -> tuple[int, ...]:
    """Return the shape of a binary op's result; its operands fit each other."""
    shape = broadcast_shape(lhs.type.shape, rhs.type.shape)
    assert shape is not None, "called only where broadcast_problems found nothing"
    return shape


def slope_problems(input_: Value, slope: Value) -> Iterator[str]:
    """Yield a sentence where the slope of a PReLU cannot be stretched over its input."""
    if broadcast_shape(input_.type.shape, slope.type.shape) != input_.type.shape:
        yield f"a slope of shape {list(slope.type.shape)} cannot be stretched over {list(input_.type.shape)}"
