"""What is kept of the values that an activation takes: exact counts and sums, in memory that no sample adds to.

Both statistics merge, and what comes out does not depend on how the samples were split: codes are counted in integers,
and sums of doubles are formed sample by sample and then added exactly.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mrqc.ir.dtype import DType
from mrqc.ir.types import TensorType
from mrqc.numerics import LIMBS, ExactSum

Sums: TypeAlias = NDArray[np.int64] | ExactSum
"""One sum for each channel: of codes of up to 16 bits as they are, of other numbers as exact sums of doubles."""

BINS_OF_16_BITS = 4096
MOST_CHANNELS = 4096
"""A tensor whose last axis is longer is counted as one: its bins would take more than its samples."""

_COUNTED_AT_ONCE = 1 << 18


def channel_count(type_: TensorType) -> int:
    """Return how many channels statistics tell apart: the extent of the last axis, 1 where that is the batch."""
    return type_.shape[-1] if type_.rank > 1 else 1


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """Count, sum, sum of squares, least and greatest number of each channel: codes, or reals of a float tensor.

    Attributes:
        count: How many numbers there are of each channel.
        sums: Their sum.
        squares: The sum of their squares.
        minimum: The least of each channel; int64, or float64 for floats.
        maximum: The greatest.
    """

    PARTS: ClassVar[tuple[str, ...]] = ("count", "sums", "squares", "minimum", "maximum")

    count: int
    sums: Sums
    squares: Sums
    minimum: NDArray[Any]
    maximum: NDArray[Any]

    @classmethod
    def of(cls, array: NDArray[Any], type_: TensorType) -> Self:
        """Return the moments of an activation of that type, whose array may hold several batches."""
        samples = array.size // type_.size
        numbers = array.reshape(samples, -1, channel_count(type_))
        count = samples * numbers.shape[1]
        if type_.dtype in _COUNTABLE:
            wide = numbers.astype(np.int32)
            sums: Sums = wide.sum(axis=(0, 1), dtype=np.int64)
            squares: Sums = np.square(wide, out=wide).sum(axis=(0, 1), dtype=np.int64)
        else:
            reals = numbers.astype(np.float64, copy=False)
            sums = ExactSum.of(np.stack([_sample_sum(sample) for sample in reals]))
            squares = ExactSum.of(np.stack([_sample_sum(np.square(sample)) for sample in reals]))
        kept = np.int64 if type_.dtype.is_integer else np.float64
        lowest, highest = numbers.min(axis=(0, 1)), numbers.max(axis=(0, 1))
        return cls(count, sums, squares, lowest.astype(kept), highest.astype(kept))

    def merge(self, other: Self) -> Self:
        """Return the moments of both."""
        return type(self)(
            self.count + other.count,
            _added(self.sums, other.sums),
            _added(self.squares, other.squares),
            np.minimum(self.minimum, other.minimum),
            np.maximum(self.maximum, other.maximum),
        )

    @property
    def mean(self) -> NDArray[np.float64]:
        """The mean of each channel."""
        return _values(self.sums) / self.count

    @property
    def variance(self) -> NDArray[np.float64]:
        """The mean squared distance from the mean of each channel."""
        if isinstance(self.sums, np.ndarray) and isinstance(self.squares, np.ndarray):
            # In Python's integers: the difference of two large numbers is formed before anything is rounded.
            pairs = zip(self.sums.tolist(), self.squares.tolist(), strict=True)
            exact = [(square * self.count - sum_ * sum_) / self.count**2 for sum_, square in pairs]
            return np.asarray(exact, np.float64)
        return np.maximum(_values(self.squares) / self.count - self.mean**2, 0.0)

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return the content as arrays by name."""
        return {
            "count": np.asarray(self.count, np.int64),
            "sums": self.sums.limbs if isinstance(self.sums, ExactSum) else self.sums,
            "squares": self.squares.limbs if isinstance(self.squares, ExactSum) else self.squares,
            "minimum": self.minimum,
            "maximum": self.maximum,
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], type_: TensorType) -> Self:
        """Return what :meth:`to_arrays` was called on.

        Raises:
            KeyError: An array is missing.
            ValueError: The arrays are not those of an activation of that type.
        """
        channels = channel_count(type_)
        countable = type_.dtype in _COUNTABLE
        kept = np.dtype(np.int64 if type_.dtype.is_integer else np.float64)
        totals = [
            _checked(arrays[name], (channels,) if countable else (channels, LIMBS + 1), np.dtype(np.int64))
            for name in ("sums", "squares")
        ]
        sums, squares = totals if countable else map(ExactSum, totals)
        return cls(
            int(_checked(arrays["count"], (), np.dtype(np.int64))),
            sums,
            squares,
            _checked(arrays["minimum"], (channels,), kept),
            _checked(arrays["maximum"], (channels,), kept),
        )


@dataclass(frozen=True, slots=True, eq=False)
class CodeHistogram:
    """How often each code occurs, or each bin of neighbouring codes.

    Attributes:
        first: The least code of the first bin: that of the dtype.
        width: Codes in a bin: 1 for 8 bits, 16 for 16 bits.
        rows: Counts of shape rows, bins. One row for each channel of the last axis, or one for the whole tensor:
            of 16 bits, of one axis alone, or of more than ``MOST_CHANNELS`` channels.
    """

    PARTS: ClassVar[tuple[str, ...]] = ("first", "width", "rows")

    first: int
    width: int
    rows: NDArray[np.int64]

    @staticmethod
    def counts_codes_of(type_: TensorType) -> bool:
        """Return whether activations of a type are counted: codes of 8 or 16 bits."""
        return type_.dtype in _COUNTABLE

    @classmethod
    def of(cls, codes: NDArray[Any], type_: TensorType) -> Self:
        """Return the counts of an activation of 8 or 16 bits, whose array may hold several batches."""
        assert cls.counts_codes_of(type_), f"codes of {type_.dtype} are not counted"
        first, width, bins = _bins(type_.dtype)
        channels = _counted_channels(type_)
        table = codes.reshape(-1, channels)
        offsets = np.arange(channels, dtype=np.intp) * bins
        counts = np.zeros(channels * bins, np.int64)
        # As many rows at a time as have something to say about all bins, and as little as fits the caches.
        at_once = max(1, max(_COUNTED_AT_ONCE, channels * bins) // channels)
        for start in range(0, len(table), at_once):
            index = table[start : start + at_once].astype(np.intp)
            index -= first
            if width > 1:
                index //= width
            index += offsets
            counts += np.bincount(index.ravel(), minlength=channels * bins)
        return cls(first, width, counts.reshape(channels, bins))

    def merge(self, other: Self) -> Self:
        """Return the counts of both."""
        return type(self)(self.first, self.width, self.rows + other.rows)

    @property
    def counts(self) -> NDArray[np.int64]:
        """The counts of the whole tensor, by bin."""
        counts: NDArray[np.int64] = self.rows.sum(axis=0)
        return counts

    @property
    def channels(self) -> NDArray[np.int64] | None:
        """The counts of each channel, by bin, or None where only the whole tensor was counted."""
        return self.rows if len(self.rows) > 1 else None

    @property
    def codes(self) -> NDArray[np.float64]:
        """The code that each bin stands for: the middle of its codes."""
        bins = np.arange(self.rows.shape[1], dtype=np.float64)
        return bins * self.width + (self.first + (self.width - 1) / 2)

    @property
    def total(self) -> int:
        """How many codes were counted."""
        return int(self.rows.sum())

    def moments(self) -> Moments:
        """Return the moments, of each row; only exact counts have them."""
        assert self.width == 1, "bins of several codes have no exact moments"
        codes: NDArray[np.int64] = self.first + np.arange(self.rows.shape[1], dtype=np.int64)
        seen = self.rows > 0
        return Moments(
            self.total // len(self.rows),
            self.rows @ codes,
            self.rows @ codes**2,
            codes[np.argmax(seen, axis=1)],
            codes[::-1][np.argmax(seen[:, ::-1], axis=1)],
        )

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return the content as arrays by name, in the least dtype that holds the counts."""
        dtype = np.uint32 if int(self.rows.max(initial=0)) <= np.iinfo(np.uint32).max else np.int64
        return {"first": np.asarray(self.first), "width": np.asarray(self.width), "rows": self.rows.astype(dtype)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], type_: TensorType) -> Self:
        """Return what :meth:`to_arrays` was called on.

        Raises:
            KeyError: An array is missing.
            ValueError: The arrays are not those of an activation of that type.
        """
        first, width, bins = _bins(type_.dtype)
        rows = arrays["rows"]
        if rows.dtype.kind not in "iu" or int(arrays["first"]) != first or int(arrays["width"]) != width:
            raise ValueError("not the bins of this dtype")
        return cls(first, width, _checked(rows.astype(np.int64), (_counted_channels(type_), bins), np.dtype(np.int64)))


_COUNTABLE = (DType.I8, DType.U8, DType.I16)


@dataclass(frozen=True, slots=True, eq=False)
class ValueStatistics:
    """What was seen of one activation.

    Attributes:
        type: Its type; codes below are codes of it.
        moments: Of each channel (see :func:`channel_count`), in codes, or in reals for a float tensor.
        histogram: Counts of codes of 8 or 16 bits; None for other tensors.
    """

    type: TensorType
    moments: Moments
    histogram: CodeHistogram | None = None

    @classmethod
    def of(cls, array: NDArray[Any], type_: TensorType) -> Self:
        """Return the statistics of an activation of that type, whose array may hold several batches."""
        if not CodeHistogram.counts_codes_of(type_):
            return cls(type_, Moments.of(array, type_))
        histogram = CodeHistogram.of(array, type_)
        exact = histogram.width == 1 and len(histogram.rows) == channel_count(type_)
        return cls(type_, histogram.moments() if exact else Moments.of(array, type_), histogram)

    def merge(self, other: Self) -> Self:
        """Return the statistics of both."""
        histogram = self.histogram
        if histogram is not None and other.histogram is not None:
            histogram = histogram.merge(other.histogram)
        return type(self)(self.type, self.moments.merge(other.moments), histogram)

    def real(self, codes: NDArray[Any]) -> NDArray[np.float64]:
        """Return the real values of codes, whose last axis holds the channels where the scales run along it."""
        quantization = self.type.quantization
        if quantization is None:
            return codes.astype(np.float64)
        last = quantization.axis == self.type.rank - 1
        assert quantization.is_per_tensor or last, "the scales run along another axis than the channels"
        return (codes - np.asarray(quantization.zero_points)) * np.asarray(quantization.scales)

    @property
    def mean(self) -> NDArray[np.float64]:
        """The real mean of each channel."""
        return self.real(self.moments.mean)

    @property
    def variance(self) -> NDArray[np.float64]:
        """The real variance of each channel."""
        quantization = self.type.quantization
        return self.moments.variance * (1.0 if quantization is None else np.square(quantization.scales))

    @property
    def real_range(self) -> tuple[float, float]:
        """The least and greatest real value that was seen."""
        return float(self.real(self.moments.minimum).min()), float(self.real(self.moments.maximum).max())


def _bins(dtype: DType) -> tuple[int, int, int]:
    """Return the least code, how many codes a bin has, and how many bins there are."""
    codes = dtype.maximum - dtype.minimum + 1
    bins = min(codes, BINS_OF_16_BITS)
    return dtype.minimum, codes // bins, bins


def _counted_channels(type_: TensorType) -> int:
    channels = channel_count(type_)
    return 1 if type_.dtype.bytes == 2 or channels > MOST_CHANNELS else channels


def _checked(array: NDArray[Any], shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    if array.shape != shape or array.dtype != dtype:
        raise ValueError(f"expected {dtype} of shape {shape}, found {array.dtype} of shape {array.shape}")
    return array


def _sample_sum(sample: NDArray[np.float64]) -> NDArray[np.float64]:
    # One sample at a time: the order in which numpy adds must not depend on how many there are.
    return np.ascontiguousarray(sample).sum(axis=0)


def _added(first: Sums, second: Sums) -> Sums:
    if isinstance(first, ExactSum):
        assert isinstance(second, ExactSum)
        return first + second
    assert not isinstance(second, ExactSum)
    return first + second


def _values(sums: Sums) -> NDArray[np.float64]:
    return sums.values() if isinstance(sums, ExactSum) else sums.astype(np.float64)
