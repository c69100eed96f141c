"""How far two arrays of the same type and shape may be apart."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def assert_close(
    found: NDArray[Any], expected: NDArray[Any], subject: str, *, codes: int = 1, rtol: float = 1e-4, atol: float = 1e-4
) -> None:
    """Assert that integers differ by at most ``codes``, and floats by no more than numpy's two tolerances."""
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape), subject
    if expected.dtype == np.float32:
        np.testing.assert_allclose(found, expected, rtol, atol, err_msg=subject)
    else:
        worst = np.abs(found.astype(np.int64) - expected.astype(np.int64)).max(initial=0)
        assert worst <= codes, f"{subject} is off by {worst}"
