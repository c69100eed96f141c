"""Transposed convolution: a convolution of images whose pixels have been moved apart, with the kernel turned round."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrqc.numerics.convolution import Convolution
from mrqc.numerics.windows import Geometry


@dataclass(frozen=True, slots=True)
class _Window:
    kernel: tuple[int, int]
    strides: tuple[int, int]
    padding: tuple[int, int, int, int]
    dilations: tuple[int, int]


class TransposedConvolution:
    """The sums of a transposed convolution, without bias; weights are converted once.

    As :class:`~mrqc.numerics.convolution.Convolution`, to which it comes down.
    """

    def __init__(
        self,
        weights: NDArray[Any],
        geometry: Geometry,
        image_size: tuple[int, int],
        groups: int,
        dtype: np.dtype[Any],
        offset: int = 0,
        most_images: int | None = None,
    ) -> None:
        """Prepare the weights; arguments as those of a convolution.

        The padding of ``geometry`` is what is cut off the result, negative where that is made larger.
        """
        (kernel_height, kernel_width), (down, across) = geometry.kernel, geometry.dilations
        reach = ((kernel_height - 1) * down, (kernel_width - 1) * across)
        borders = [reach[side % 2] - cut for side, cut in enumerate(geometry.padding)]
        self._strides = geometry.strides
        self._spread = tuple((size - 1) * stride + 1 for size, stride in zip(image_size, self._strides, strict=True))
        # Where more is cut off than the kernel reaches, the images themselves are cut.
        self._cut = [max(0, -border) for border in borders]
        self._offset = offset
        self._dtype = dtype
        top, left, bottom, right = self._cut
        size = (self._spread[0] - top - bottom, self._spread[1] - left - right)
        padding = (max(0, borders[0]), max(0, borders[1]), max(0, borders[2]), max(0, borders[3]))
        window = _Window((kernel_height, kernel_width), (1, 1), padding, geometry.dilations)
        self._convolution = Convolution(weights[:, ::-1, ::-1], window, size, groups, dtype, most_images=most_images)

    @property
    def output_size(self) -> tuple[int, int, int]:
        """Rows, columns and channels of the result."""
        return self._convolution.output_size

    def blocks(self, images: NDArray[Any]) -> Iterator[tuple[tuple[slice, slice], NDArray[Any]]]:
        """Yield where a block of the result lies (images, rows) and its sums, a fresh array."""
        count, _, _, channels = images.shape
        spread = np.zeros((count, *self._spread, channels), self._dtype)
        spread[:, :: self._strides[0], :: self._strides[1]] = images.astype(self._dtype) - self._offset
        top, left, bottom, right = self._cut
        rows, columns = self._spread
        yield from self._convolution.blocks(spread[:, top : rows - bottom, left : columns - right])
