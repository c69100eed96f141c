"""Shapes of reductions: what both dialects share."""

from __future__ import annotations

import math
from collections.abc import Iterator

from mrqc.ir.op import Value


def axes_problems(input_: Value, axes: tuple[int, ...]) -> Iterator[str]:
    """Yield the ways in which ``axes`` are no ascending choice of the input's axes."""
    if not axes:
        yield "a reduction needs at least one axis"
    if list(axes) != sorted(set(axes)) or any(not 0 <= axis < input_.type.rank for axis in axes):
        yield f"{list(axes)} are no axes of rank {input_.type.rank} in ascending order"
    quantization = input_.type.quantization
    if quantization is not None and not quantization.is_per_tensor:
        yield "only a per-tensor quantized value can be reduced"


def reduced_shape(input_: Value, axes: tuple[int, ...], keep_dims: bool) -> tuple[int, ...]:
    """Return the input's shape without ``axes``, or with extent 1 in their place."""
    return tuple(
        1 if axis in axes else extent for axis, extent in enumerate(input_.type.shape) if keep_dims or axis not in axes
    )


def reduced_count(input_: Value, axes: tuple[int, ...]) -> int:
    """Return how many elements become one."""
    return math.prod(input_.type.shape[axis] for axis in axes)
