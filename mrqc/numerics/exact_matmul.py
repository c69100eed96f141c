"""Integer matrix products through BLAS: floating point that provably never rounds."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

FLOAT32_EXACT = 1 << 24
"""Below this magnitude every integer is a float32."""
FLOAT64_EXACT = 1 << 53
"""Below this magnitude every integer is a float64."""
INT64_EXACT = 1 << 63


def accumulation_dtype(bound: int) -> np.dtype[Any]:
    """Return the fastest dtype in which sums that stay within ``bound`` are exact: float32, float64 or int64.

    Args:
        bound: The greatest magnitude that any partial sum can reach, in whatever order the products are
            added. Then products, sums and fused multiply-adds are integers below the limit, and none of them
            rounds.
    """
    assert bound < INT64_EXACT, f"a sum of magnitude {bound} does not fit 64 bits"
    if bound < FLOAT32_EXACT:
        return np.dtype(np.float32)
    if bound < FLOAT64_EXACT:
        return np.dtype(np.float64)
    return np.dtype(np.int64)


def exact_matmul(a: NDArray[Any], b: NDArray[Any], bound: int) -> NDArray[np.int64]:
    """Return the exact matrix product of two integer arrays.

    Args:
        a: Integers of shape ``[..., M, K]``.
        b: Integers of shape ``[..., K, N]``.
        bound: The greatest magnitude of any partial sum of products, in any order; below 2**63.

    Returns:
        Shape ``[..., M, N]``. Computed in float32 for a bound below 2**24, float64 below 2**53, else int64.
    """
    dtype = accumulation_dtype(bound)
    product = np.matmul(a.astype(dtype, copy=False), b.astype(dtype, copy=False))
    return product.astype(np.int64, copy=False)
