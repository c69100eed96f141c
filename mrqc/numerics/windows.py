"""Sliding windows over NHWC images, without a Python loop over pixels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

BLOCK_ELEMENTS = 1 << 17
"""Elements of the largest array in one block of work: half a megabyte of float32, within a level-2 cache."""


class Geometry(Protocol):
    """A sliding window: kernel and strides are (height, width), padding is (top, left, bottom, right)."""

    @property
    def kernel(self) -> tuple[int, int]:
        """Height and width."""
        ...

    @property
    def strides(self) -> tuple[int, int]:
        """Steps down and across."""
        ...

    @property
    def padding(self) -> tuple[int, int, int, int]:
        """Rows and columns added at the top, left, bottom and right."""
        ...

    @property
    def dilations(self) -> tuple[int, int]:
        """Distance between the taps of the kernel."""
        ...


def output_size(geometry: Geometry, height: int, width: int) -> tuple[int, int]:
    """Return how many windows fit into an image, downwards and across."""
    top, left, bottom, right = geometry.padding
    rows = (height + top + bottom - _extent(geometry, 0)) // geometry.strides[0] + 1
    columns = (width + left + right - _extent(geometry, 1)) // geometry.strides[1] + 1
    return rows, columns


def padded_rows(
    images: NDArray[Any],
    geometry: Geometry,
    rows: slice,
    dtype: np.dtype[Any],
    fill: float = 0,
    offset: int = 0,
) -> NDArray[Any]:
    """Return the part of the padded images that some rows of windows read, as a fresh array.

    Args:
        images: Shape ``[N, H, W, C]``.
        geometry: The window.
        rows: The rows of the result, with start and stop.
        dtype: Of the returned array.
        fill: What the padding holds.
        offset: Subtracted from the images, not from the padding.

    Returns:
        Shape ``[N, (rows - 1) * stride + extent, left + W + right, C]``.
    """
    count, height, width, channels = images.shape
    top, left, _, right = geometry.padding
    first = rows.start * geometry.strides[0] - top
    last = (rows.stop - 1) * geometry.strides[0] - top + _extent(geometry, 0)
    shape = (count, last - first, left + width + right, channels)
    within = slice(min(max(first, 0), height), max(min(last, height), 0))
    if shape[1] == within.stop - within.start and shape[2] == width:
        patch = images[:, within].astype(dtype, order="C")
        return np.subtract(patch, offset, out=patch) if offset else patch
    patch = np.full(shape, fill, dtype)
    inner = patch[:, max(-first, 0) : max(-first, 0) + within.stop - within.start, left : left + width]
    np.copyto(inner, images[:, within], casting="unsafe")
    if offset:
        inner -= offset
    return patch


def window_view(patch: NDArray[Any], geometry: Geometry) -> NDArray[Any]:
    """Return every window of an already padded array, as a read-only view.

    Args:
        patch: Shape ``[N, H, W, C]``.
        geometry: The window; its padding is not looked at.

    Returns:
        Shape ``[N, rows, columns, KH, KW, C]``.
    """
    count, height, width, channels = patch.shape
    rows = (height - _extent(geometry, 0)) // geometry.strides[0] + 1
    columns = (width - _extent(geometry, 1)) // geometry.strides[1] + 1
    image, down, across, channel = patch.strides
    return as_strided(
        patch,
        (count, rows, columns, *geometry.kernel, channels),
        (
            image,
            down * geometry.strides[0],
            across * geometry.strides[1],
            down * geometry.dilations[0],
            across * geometry.dilations[1],
            channel,
        ),
        writeable=False,
    )


def im2col(images: NDArray[Any], geometry: Geometry, fill: float = 0) -> NDArray[Any]:
    """Return each window as a row: shape ``[N * rows * columns, KH * KW * C]``, dtype as ``images``."""
    rows, _ = output_size(geometry, images.shape[1], images.shape[2])
    patch = padded_rows(images, geometry, slice(0, rows), images.dtype, fill)
    view = window_view(patch, geometry)
    return view.reshape(-1, view.shape[3] * view.shape[4] * view.shape[5])


def window_sums(images: NDArray[Any], geometry: Geometry, dtype: np.dtype[Any], offset: int = 0) -> NDArray[Any]:
    """Return the sum of ``images - offset`` over each window, in ``dtype``; padding adds nothing.

    Shapes: images ``[N, H, W, C]``, result ``[N, rows, columns, C]``. The order of the additions depends on
    the geometry alone.
    """
    return _reduce_windows(images, geometry, np.add, dtype, 0, offset)


def window_maxima(images: NDArray[Any], geometry: Geometry) -> NDArray[Any]:
    """Return the greatest element of each window, in the dtype of ``images``; padding never wins.

    Shapes: images ``[N, H, W, C]``, result ``[N, rows, columns, C]``. Every window must hold an element.
    """
    floating = np.issubdtype(images.dtype, np.floating)
    lowest = -np.inf if floating else int(np.iinfo(images.dtype).min)
    return _reduce_windows(images, geometry, np.maximum, images.dtype, lowest, 0)


def window_counts(geometry: Geometry, height: int, width: int) -> NDArray[np.int64]:
    """Return how many elements of the image, padding left out, each window holds: ``[rows, columns]``."""
    ones = np.ones((1, height, width, 1), np.int64)
    return window_sums(ones, geometry, ones.dtype)[0, :, :, 0]


def blocks(
    count: int, rows: int, elements_per_row: int, most_images: int | None = None
) -> Iterator[tuple[slice, slice]]:
    """Yield slices of images and of rows that together cover ``count`` images of ``rows`` rows.

    A block holds about ``BLOCK_ELEMENTS`` elements: several images where they are small (at most
    ``most_images``), a few rows of one image where it is large. How an image is cut into rows depends on its
    own size alone.
    """
    images = max(1, BLOCK_ELEMENTS // (rows * elements_per_row))
    if most_images is not None:
        images = min(images, most_images)
    height = rows if images > 1 else max(1, BLOCK_ELEMENTS // elements_per_row)
    for image in range(0, count, images):
        for row in range(0, rows, height):
            yield slice(image, min(image + images, count)), slice(row, min(row + height, rows))


def _extent(geometry: Geometry, axis: int) -> int:
    return (geometry.kernel[axis] - 1) * geometry.dilations[axis] + 1


def _reduce_windows(
    images: NDArray[Any],
    geometry: Geometry,
    combine: Callable[..., NDArray[Any]],
    dtype: np.dtype[Any],
    fill: float,
    offset: int,
) -> NDArray[Any]:
    """Combine the taps of each window: first down, then across, as a window is a product of two intervals."""
    count, height, width, channels = images.shape
    rows, columns = output_size(geometry, height, width)
    result = np.empty((count, rows, columns, channels), dtype)
    step_down, step_across = geometry.strides
    elements_per_row = -(-height // rows) * width * channels
    for chosen, part in blocks(count, rows, elements_per_row):
        patch = padded_rows(images[chosen], geometry, part, dtype, fill, offset)
        inner = part.stop - part.start
        down = _combine_taps(patch, 1, geometry.kernel[0], geometry.dilations[0], step_down, inner, combine)
        result[chosen, part] = _combine_taps(
            down, 2, geometry.kernel[1], geometry.dilations[1], step_across, columns, combine
        )
    return result


def _combine_taps(
    patch: NDArray[Any],
    axis: int,
    taps: int,
    dilation: int,
    stride: int,
    size: int,
    combine: Callable[..., NDArray[Any]],
) -> NDArray[Any]:
    """Combine ``taps`` shifted views along one axis; each view has ``size`` entries, ``stride`` apart."""
    before = (slice(None),) * axis
    reach = (size - 1) * stride + 1
    total = patch[(*before, slice(0, reach, stride))].copy()
    for tap in range(1, taps):
        start = tap * dilation
        combine(total, patch[(*before, slice(start, start + reach, stride))], out=total)
    return total
