"""What a weight scale costs, and weights at a new scale.

The file's integers already sit on a grid. Where the scheme allows, a new scale equal to the old one keeps every
code; anything else rounds each weight a second time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrqc.ir.data import Data
from mrqc.ir.quantization import Quantization
from mrqc.targets import WeightScheme

FINER = 16
"""Real weights are tabulated on a grid so many times as fine as the min-max one; a table of errors needs no more."""

LEVELS = 2 * 127 * FINER + 1
"""Levels for which a histogram of every channel is worth its memory: a product of matrices then tells all errors."""


@dataclass(frozen=True, slots=True)
class WeightGrid:
    """Weights as their file holds them: real weight = code * scale of its output channel.

    Attributes:
        codes: int32 ``[O, …]``, zero point subtracted.
        scales: float64 ``[O]``; equal where the file has one scale.
        finer: How many steps of this grid make one of the grid that others are measured against.
    """

    codes: NDArray[np.int32]
    scales: NDArray[np.float64]
    finer: int = 1

    @classmethod
    def of_constant(cls, data: Data, quantization: Quantization | None) -> WeightGrid:
        """Return the grid of a constant; real numbers get one so fine that it changes nothing."""
        if quantization is not None:
            return cls.of(data, quantization)
        return cls.of_reals(data.array.astype(np.float64))

    @classmethod
    def of_reals(cls, reals: NDArray[np.float64]) -> WeightGrid:
        """Return a grid for real numbers, so fine that it changes nothing."""
        greatest = float(np.abs(reals).max(initial=0.0)) or 1.0
        scale = greatest / (127 * FINER)
        return cls(np.rint(reals / scale).astype(np.int32), np.full(len(reals), scale), FINER)

    @classmethod
    def of(cls, data: Data, quantization: Quantization) -> WeightGrid:
        """Return the grid of quantized weights whose scales, if several, run along axis 0."""
        zero_points = quantization.broadcast_zero_points(data.array.ndim)
        codes = (data.array.astype(np.int64) - zero_points).astype(np.int32)
        return cls(codes, np.broadcast_to(np.asarray(quantization.scales, np.float64), (len(codes),)))

    @property
    def base_scale(self) -> float:
        """The scale that others are measured against: the file's own, or the largest of its channels."""
        return float(self.scales.max()) * self.finer

    @property
    def is_uniform(self) -> bool:
        """Whether all channels share one scale."""
        return bool(np.all(self.scales == self.scales[0]))

    @property
    def is_shared(self) -> bool:
        """Whether the file has one grid for all channels."""
        return self.is_uniform and self.finer == 1

    @property
    def reach(self) -> NDArray[np.float64]:
        """The greatest magnitude of a weight in each channel."""
        return np.abs(self.codes).max(axis=tuple(range(1, self.codes.ndim))) * self.scales

    def useful_octaves(self, scheme: WeightScheme, per_channel: bool) -> NDArray[np.float64]:
        """Return the exponents n, up to 0, for which a scale of ``base_scale * 2**n`` does not cut most weights off.

        A grid finer than the file's own is no worse and fits more easily, if the largest code leaves room for it.
        """
        reach = self.reach / self.base_scale
        spread = reach[reach > 0]
        smallest = float(spread.min() if per_channel else spread.max()) if len(spread) else 1.0
        return np.arange(min(math.floor(math.log2(smallest / scheme.maximum)) - 1.0, -1.0), 1.0)

    def relative_errors(self, scales: NDArray[np.float64], scheme: WeightScheme) -> NDArray[np.float64]:
        """Return ``|W - Q(W)|^2 / |W|^2`` of each output channel at each of ``scales``.

        Args:
            scales: ``[K]`` candidates for all channels, or ``[O, K]``.
            scheme: The codes that there are.

        Returns:
            ``[O, K]``; 0 for channels without a weight other than 0.
        """
        has_one_grid = self.is_uniform and scales.ndim == 1
        levels, counts = self._histogram(LEVELS if has_one_grid else 0, scheme.minimum == -scheme.maximum)
        energy = np.maximum((counts * levels.astype(np.float64) ** 2).sum(axis=1), 1e-300)
        if has_one_grid and len(levels) == 1 and counts.shape[1] == levels.shape[1]:
            # One scale for all: the error of each level is the same in every channel.
            table = _squared_errors(levels[0][:, None], scales / self.scales[0], scheme)
            return (counts @ table) / energy[:, None]
        ratios = np.broadcast_to(scales, (len(self.codes), scales.shape[-1])) / self.scales[:, None]
        columns = [
            (counts * _squared_errors(levels, ratios[:, index, None], scheme)).sum(axis=1)
            for index in range(ratios.shape[1])
        ]
        return np.stack(columns, axis=1) / energy[:, None]

    def requantize(self, scales: NDArray[np.float64], scheme: WeightScheme) -> NDArray[np.int8]:
        """Return the codes nearest to the real weights at new ``scales``, one or one for each channel; clipped."""
        ratio = np.broadcast_to(scales / self.scales, (len(self.codes),))
        ratio = ratio.reshape(-1, *(1,) * (self.codes.ndim - 1))
        return np.clip(np.rint(self.codes / ratio), scheme.minimum, scheme.maximum).astype(np.int8)

    def _histogram(self, most: int, is_even: bool) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """Return levels and counts, broadcastable to ``[O, levels]``: each code once, weighted by how often it occurs.

        Args:
            most: As many levels serve all channels together; beyond that, a channel with fewer weights than there are
                codes is its own list of levels.
            is_even: Whether a level and its negative have the same error, and are one.
        """
        flat = self.codes.reshape(len(self.codes), -1)
        if is_even:
            flat = np.abs(flat)
        low, high = int(flat.min()), int(flat.max())
        width = high - low + 1
        if flat.shape[1] <= width and width > most:
            return flat, np.ones((1, 1))
        keys = (flat - low) + np.arange(len(flat), dtype=np.int64)[:, None] * width
        counts = np.bincount(keys.ravel(), minlength=width * len(flat)).reshape(len(flat), width)
        return np.arange(low, high + 1, dtype=np.int32)[None, :], counts.astype(np.float64)


def _squared_errors(levels: NDArray[np.int32], ratio: NDArray[np.float64], scheme: WeightScheme) -> NDArray[np.float64]:
    """Return the squared distance, in old codes, of each level from a grid ``ratio`` times as wide."""
    error = levels / ratio
    np.rint(error, out=error)
    np.clip(error, scheme.minimum, scheme.maximum, out=error)
    error *= ratio
    error -= levels
    return np.square(error, out=error)
