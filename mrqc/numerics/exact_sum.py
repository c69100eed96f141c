"""Sums of doubles that do not depend on the order of addition.

A double is an integer times a power of two; the integers are added up exactly in limbs of 32 bits that span the whole
range of exponents (a superaccumulator, after Kulisch), and rounded once, when the sum is read.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_LIMB_BITS = 32
_LIMB_MASK = np.uint64((1 << _LIMB_BITS) - 1)
_MANTISSA_BITS = 53
_LOWEST_BIT = 1074 + _MANTISSA_BITS
"""Bit 0 of limb 0 is 2 to minus this: half the least subnormal number's mantissa fits below it."""
LIMBS = (1024 + 1074 + _MANTISSA_BITS) // _LIMB_BITS + 2
_NOT_FINITE = LIMBS
"""The column behind the limbs counts what is infinite or not a number."""


@dataclass(frozen=True, slots=True, eq=False)
class ExactSum:
    """Sums, one for each row, that are the same in whatever order and grouping their terms are added.

    Attributes:
        limbs: int64 of shape rows, limbs and one; up to 2**30 terms cannot overflow them.
    """

    limbs: NDArray[np.int64]

    @classmethod
    def of(cls, terms: NDArray[np.float64]) -> ExactSum:
        """Return the sums over axis 0 of ``terms``, of shape terms, rows."""
        rows = terms.shape[1]
        limbs = np.zeros((rows, LIMBS + 1), np.int64)
        finite = np.isfinite(terms)
        limbs[:, _NOT_FINITE] = np.count_nonzero(~finite, axis=0)
        mantissas, exponents = np.frexp(np.where(finite, terms, 0.0))
        integers = np.ldexp(mantissas, _MANTISSA_BITS).astype(np.int64)
        positions = exponents.astype(np.int64) - _MANTISSA_BITS + _LOWEST_BIT
        first, shift = positions // _LIMB_BITS, (positions % _LIMB_BITS).astype(np.uint64)
        magnitudes, signs = np.abs(integers).astype(np.uint64), np.sign(integers)
        low, high = (magnitudes & _LIMB_MASK) << shift, (magnitudes >> np.uint64(_LIMB_BITS)) << shift
        parts = (low & _LIMB_MASK, low >> np.uint64(32), high & _LIMB_MASK, high >> np.uint64(32))
        row = np.broadcast_to(np.arange(rows, dtype=np.int64), terms.shape)
        for offset, part in zip((0, 1, 1, 2), parts, strict=True):
            np.add.at(limbs, (row, first + offset), part.astype(np.int64) * signs)
        return cls(limbs)

    def __add__(self, other: ExactSum) -> ExactSum:
        """Return the sums of the terms of both."""
        return ExactSum(self.limbs + other.limbs)

    def values(self) -> NDArray[np.float64]:
        """Return the sums, each rounded once to the nearest double; not a number where a term is not finite."""
        return np.asarray([_rounded(row[:LIMBS]) if not row[_NOT_FINITE] else np.nan for row in self.limbs], np.float64)


def _rounded(limbs: NDArray[np.int64]) -> float:
    total = sum(int(limb) << (_LIMB_BITS * int(index)) for index, limb in enumerate(limbs) if limb)
    try:
        # The division of two integers rounds correctly.
        return total / (1 << _LOWEST_BIT)
    except OverflowError:
        return math.inf if total > 0 else -math.inf
