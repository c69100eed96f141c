"""The end of every integer op: from accumulators to codes, in the narrowest type that is proved safe."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mrqc.backends.interpreter import Array
from mrqc.ir import DType
from mrqc.numerics import divide_by_power_of_two
from mrqc.ops.int import Requantize

CHUNK_ELEMENTS = 1 << 16
"""Elements of an accumulator array that is worked on at a time, so that it stays in the cache."""


def greatest_intermediate(requantize: Requantize, bound: int) -> int:
    """Return a magnitude that no intermediate result exceeds, for accumulators within ``bound``.

    The product, the rounding offset (below ``2**shift``) and the zero point.
    """
    product = bound * max(requantize.multiplier)
    return product + max(1 << max(requantize.shift), abs(requantize.zero_point))


class Requantizer:
    """``clamp(round(accumulator * multiplier / 2**shift) + zero_point, minimum, maximum)``, exactly."""

    def __init__(self, requantize: Requantize, bound: int, dtype: DType) -> None:
        """Choose 32-bit arithmetic if it is safe for accumulators within ``bound``, else 64-bit.

        Args:
            requantize: The arithmetic.
            bound: The greatest magnitude of an accumulator; the product must fit 64 bits.
            dtype: Of the codes.
        """
        greatest = greatest_intermediate(requantize, bound)
        assert greatest < 1 << 63, f"a product of magnitude {greatest} does not fit 64 bits"
        self._working: np.dtype[Any] = np.dtype(np.int32 if greatest < 1 << 31 else np.int64)
        self._multiplier = None if requantize.only_shifts else self._one_or_per_channel(requantize.multiplier)
        self._shift = self._one_or_per_channel(requantize.shift)
        self._requantize = requantize
        self._dtype = dtype.numpy

    def _one_or_per_channel(self, numbers: tuple[int, ...]) -> Array:
        array = np.asarray(numbers, self._working)
        return array if array.size > 1 else array.reshape(())

    def __call__(self, accumulators: Array) -> Array:
        """Return the codes of integer ``accumulators``, given in any dtype; channels are the last axis."""
        requantize = self._requantize
        values = accumulators.astype(self._working)
        if self._multiplier is not None:
            values *= self._multiplier
        values = divide_by_power_of_two(values, self._shift, requantize.rounding)
        if requantize.zero_point:
            values += requantize.zero_point
        return np.clip(values, requantize.minimum, requantize.maximum, out=values).astype(self._dtype)

    def chunks(self, shape: tuple[int, ...], accumulate: Callable[[slice], Array]) -> Array:
        """Return the codes of an elementwise op, computed a chunk at a time.

        Args:
            shape: Of the result.
            accumulate: Returns the accumulators of a slice of the flattened result.
        """
        codes = np.empty(shape, self._dtype)
        flat = codes.reshape(-1)
        for start in range(0, flat.size, CHUNK_ELEMENTS):
            chunk = slice(start, start + CHUNK_ELEMENTS)
            flat[chunk] = self(accumulate(chunk))
        return codes


def accumulator_dtype(bound: int) -> np.dtype[Any]:
    """Return the integer type in which additions within ``bound`` cannot overflow."""
    return np.dtype(np.int32 if bound < 1 << 31 else np.int64)
