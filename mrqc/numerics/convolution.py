"""Convolution of NHWC images with constant weights, block by block, in one chosen dtype."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrqc.numerics.windows import Geometry, blocks, output_size, padded_rows, window_view


class Convolution:
    """The sums of a convolution, without bias; weights are converted once.

    What is computed is ``sum((image - offset) * weight)`` over each window, where padding contributes
    nothing. In a dtype from :func:`~mrqc.numerics.exact_matmul.accumulation_dtype` the sums are exact
    integers, and so independent of the blocks. Dense and grouped weights become a matrix product over im2col
    rows (a 1x1 kernel without copying rows), depthwise weights a multiply-accumulate over the taps of the
    kernel.
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
        """Prepare the weights.

        Args:
            weights: Shape ``[O, KH, KW, C / groups]``.
            geometry: The window.
            image_size: Height and width of the images.
            groups: Output channel ``o`` reads the input channels of group ``o // (O / groups)``.
            dtype: In which products are added up.
            offset: Subtracted from the images; must leave integers that ``dtype`` holds exactly.
            most_images: The most images that one matrix product may span; 1 makes products of non-integers
                independent of the number of images.
        """
        outputs, height, width, depth = weights.shape
        self._geometry = geometry
        self._groups = groups
        self._dtype = dtype
        self._offset = offset
        self._most_images = most_images
        self._outputs = outputs
        self._rows, self._columns = output_size(geometry, *image_size)
        self._is_depthwise = groups > 1 and depth == 1
        if self._is_depthwise:
            taps = weights.reshape(outputs, height * width).T.astype(dtype)
            # Repeated along a row of the image, a tap multiplies the whole row in one inner loop.
            repeats = self._columns if geometry.strides[1] == 1 else 1
            self._weights = np.tile(taps, (1, repeats))
            row_elements = self._columns * geometry.strides[0] * geometry.strides[1] * outputs
        else:
            taps = weights.reshape(groups, outputs // groups, height * width * depth)
            self._weights = np.ascontiguousarray(taps.transpose(0, 2, 1).astype(dtype))
            row_elements = self._columns * max(groups * height * width * depth, outputs)
        self._row_elements = row_elements

    @property
    def output_size(self) -> tuple[int, int, int]:
        """Rows, columns and channels of the result."""
        return (self._rows, self._columns, self._outputs)

    def blocks(self, images: NDArray[Any]) -> Iterator[tuple[tuple[slice, slice], NDArray[Any]]]:
        """Yield where a block of the result lies (images, rows) and its sums, a fresh array.

        Args:
            images: Shape ``[N, H, W, C]``.

        Yields:
            Slices of the images and of the rows, and the sums ``[n, rows, columns, O]`` in the dtype.
        """
        for chosen, rows in blocks(images.shape[0], self._rows, self._row_elements, self._most_images):
            patch = padded_rows(images[chosen], self._geometry, rows, self._dtype, offset=self._offset)
            count, height = chosen.stop - chosen.start, rows.stop - rows.start
            sums = self._depthwise(patch, height) if self._is_depthwise else self._product(patch)
            yield (chosen, rows), sums.reshape(count, height, self._columns, self._outputs)

    def _product(self, patch: NDArray[Any]) -> NDArray[Any]:
        view = window_view(patch, self._geometry)
        taps, depth = view.shape[3] * view.shape[4], view.shape[5] // self._groups
        if self._groups == 1:
            return view.reshape(-1, taps * depth) @ self._weights[0]
        grouped = view.reshape(-1, taps, self._groups, depth).transpose(2, 0, 1, 3)
        sums = np.matmul(grouped.reshape(self._groups, -1, taps * depth), self._weights)
        return sums.transpose(1, 0, 2)

    def _depthwise(self, patch: NDArray[Any], rows: int) -> NDArray[Any]:
        channels = patch.shape[3]
        if channels != self._outputs:
            patch = np.repeat(patch, self._outputs // channels, axis=3)
        sums: NDArray[Any] | None = None
        product: NDArray[Any] | None = None
        for weight, tap in zip(self._weights, self._taps(patch, rows), strict=True):
            if sums is None:
                sums = np.multiply(tap, weight)
                product = np.empty_like(sums)
            else:
                np.multiply(tap, weight, out=product)
                sums += product
        assert sums is not None, "a kernel has at least one tap"
        return sums

    def _taps(self, patch: NDArray[Any], rows: int) -> Iterator[NDArray[Any]]:
        """Yield the elements that each tap of the kernel meets, as views that match the weights."""
        (down, across), (step_down, step_across) = self._geometry.dilations, self._geometry.strides
        count, height, width, channels = patch.shape
        flat = patch.reshape(count, height, width * channels)
        row_reach, column_reach = (rows - 1) * step_down + 1, (self._columns - 1) * step_across + 1
        for row in range(self._geometry.kernel[0]):
            lines = slice(row * down, row * down + row_reach, step_down)
            for column in range(self._geometry.kernel[1]):
                start = column * across
                if step_across == 1:
                    yield flat[:, lines, start * channels : (start + self._columns) * channels]
                else:
                    yield patch[:, lines, start : start + column_reach : step_across]
