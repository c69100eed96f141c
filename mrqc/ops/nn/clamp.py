"""The real interval that an nn op confines its result to: ReLU, ReLU6 and their kin after fusion."""

from __future__ import annotations

import math
from collections.abc import Iterator

UNBOUNDED = (-math.inf, math.inf)
"""No clamp."""


def clamp_problems(clamp: tuple[float, float]) -> Iterator[str]:
    """Yield a sentence where the interval is empty or not a number."""
    if not clamp[0] <= clamp[1]:
        yield f"the clamp [{clamp[0]}, {clamp[1]}] is empty"


def intersect_clamps(first: tuple[float, float], second: tuple[float, float]) -> tuple[float, float]:
    """Return what clamping by ``first`` and then by ``second`` confines to, as one interval."""
    low = min(max(first[0], second[0]), second[1])
    high = min(max(first[1], second[0]), second[1])
    return (low, high)
