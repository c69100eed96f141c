"""Single-precision steps that numpy does not have as one operation."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Single = NDArray[np.float32]


def fused_multiply_add(first: ArrayLike, second: ArrayLike, addend: ArrayLike) -> Single:
    """Return ``first * second + addend`` of single-precision numbers, rounded once.

    The product of two singles is exact in double precision. The sum is not; it is rounded to odd there, after which
    rounding to single precision gives what one rounding would (Boldo and Melquiond, "When double rounding is odd",
    2005).
    """
    product = np.asarray(np.multiply(first, second, dtype=np.float64))
    addend = np.asarray(addend, np.float64)
    total = np.asarray(product + addend)
    # Knuth's exact error of an addition.
    partner = total - product
    error = (product - (total - partner)) + (addend - partner)
    bits = total.view(np.int64)
    is_even = (bits & 1) == 0
    away = np.where((error > 0) == (total > 0), 1, -1)
    odd = bits + np.where(is_even & (error != 0), away, 0)
    return odd.view(np.float64).astype(np.float32)


def clamped_codes(values: Single, zero_point: int, minimum: int, maximum: int) -> NDArray[np.int32]:
    """Return ``rint(clamp(values, minimum - zero_point, maximum - zero_point)) + zero_point``."""
    limits = np.float32(minimum - zero_point), np.float32(maximum - zero_point)
    return np.rint(np.clip(values, *limits)).astype(np.int32) + np.int32(zero_point)
