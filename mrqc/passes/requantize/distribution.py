"""What values activations take, as far as the choice of scales goes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrqc.calibration import CodeHistogram, Teacher, ValueStatistics
from mrqc.passes.requantize.form import Real

_BEYOND = 0.5
"""How far beyond the values that were seen others may lie, over the range of these."""


@dataclass(frozen=True, slots=True, eq=False)
class Distribution:
    """How often an activation takes which value, from calibration samples.

    Attributes:
        values: Real values ``[bins]``, ascending.
        shares: How often each is taken, ``[bins]``; they add up to 1.
        power: The mean variance of a channel: what noise is measured against.
        inside: The share of values that are at neither end of the clamp; only these are rounded.
    """

    values: Real
    shares: Real
    power: float
    inside: float

    @classmethod
    def of(cls, statistics: ValueStatistics) -> Distribution | None:
        """Return the distribution of a per-tensor activation of 8 or 16 bits; None for others and for constants."""
        quantization, histogram = statistics.type.quantization, statistics.histogram
        if quantization is None or not quantization.is_per_tensor or histogram is None or not histogram.total:
            return None
        power = float(statistics.variance.mean())
        if power <= 0.0:
            return None
        return cls(
            statistics.real(histogram.codes),
            _with_one_more(histogram),
            power,
            float(1.0 - _ends(histogram.counts) / histogram.total),
        )

    def errors(self, scales: Real, low: Real, high: Real, *, rounded: bool = True) -> Real:
        """Return the squared error over the power at each of ``scales``, whose codes reach from ``low`` to ``high``.

        Rounding adds ``s^2 / 12`` where a value is not at an end of its clamp, and what lies outside is cut off
        (docs/requantization.md equation 15). Values that are codes of the same grid already are not ``rounded``.
        """
        beyond = self._beyond(low) + self._beyond(high, above=True)
        return (rounded * self.inside * scales**2 / 12.0 + beyond) / self.power

    def _beyond(self, ends: Real, *, above: bool = False) -> Real:
        """Return the mean square of how far values lie below (above) each of ``ends``."""
        sign = -1.0 if above else 1.0
        values, shares = (-self.values[::-1], self.shares[::-1]) if above else (self.values, self.shares)
        # Of the values up to an end: how many, their sum, and the sum of their squares.
        sums = np.concatenate(
            [np.zeros((3, 1)), np.cumsum([shares, shares * values, shares * values**2], axis=1)], axis=1
        )
        many, first, second = sums[:, np.searchsorted(values, sign * ends)]
        return np.maximum(ends**2 * many - 2.0 * sign * ends * first + second, 0.0)


def distributions(teacher: Teacher) -> Mapping[str, Distribution]:
    """Return the distribution of each activation of the original, by name; none where samples tell nothing."""
    if not teacher.is_representative:
        return {}
    found = {name: Distribution.of(one) for name, one in teacher.statistics.items()}
    return {name: one for name, one in found.items() if one is not None and name not in teacher.scaled}


def _with_one_more(histogram: CodeHistogram) -> Real:
    """Return shares to which one more value of each channel adds, which could be any code not too far from those seen.

    Few samples have not seen the ends of a range: cutting them off must not look free.
    """
    counts = histogram.counts.astype(np.float64)
    seen = np.flatnonzero(counts)
    reach = _BEYOND * (seen[-1] - seen[0])
    codes = np.arange(len(counts))
    possible = (codes >= seen[0] - reach) & (codes <= seen[-1] + reach)
    one_more = possible * len(histogram.rows) / np.count_nonzero(possible)
    return (counts + one_more) / (histogram.total + len(histogram.rows))


def _ends(counts: NDArray[np.int64]) -> int:
    """Return how many values are the least or the greatest one, where many are: a clamp puts them there."""
    seen = np.flatnonzero(counts)
    return int(counts[seen[0]] + counts[seen[-1]]) if len(seen) > 1 else 0
