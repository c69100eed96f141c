"""Sliding windows, against loops over pixels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from window_geometry import Geometry, elements_of_windows, geometries

from mrqc.numerics import im2col, window_counts, window_maxima, window_sums, windows
from mrqc.numerics.windows import blocks, output_size, padded_rows

SEEDS = st.integers(0, 2**32)


def images_for(height: int, width: int, seed: int, dtype: type = np.int8) -> np.ndarray:
    random = np.random.default_rng(seed)
    return random.integers(-128, 128, (random.integers(1, 4), height, width, random.integers(1, 4))).astype(dtype)


def naive(images: np.ndarray, geometry: Geometry, reduce, fill: int | None) -> np.ndarray:
    """Reduce the elements of each window; padding is ``fill``, or left out where that is None."""
    lines = elements_of_windows(geometry, images.shape[1], images.shape[2])
    result = np.empty((images.shape[0], len(lines), len(lines[0]), images.shape[3]), np.int64)
    for image, row, column, channel in np.ndindex(*result.shape):
        found = [fill if tap is None else int(images[image, tap[0], tap[1], channel]) for tap in lines[row][column]]
        result[image, row, column, channel] = reduce([element for element in found if element is not None])
    return result


@given(geometries(), SEEDS)
def test_sums(case: tuple[Geometry, int, int], seed: int) -> None:
    geometry, height, width = case
    images = images_for(height, width, seed)
    found = window_sums(images, geometry, np.dtype(np.int32))
    assert found.dtype == np.int32
    assert np.array_equal(found, naive(images, geometry, sum, None))


@given(geometries(), SEEDS, st.integers(-200, 200))
def test_sums_of_differences_from_an_offset(case: tuple[Geometry, int, int], seed: int, offset: int) -> None:
    geometry, height, width = case
    images = images_for(height, width, seed)
    found = window_sums(images, geometry, np.dtype(np.int64), offset)
    assert np.array_equal(found, naive(images.astype(np.int64) - offset, geometry, sum, None))


@given(geometries(every_window_holds_an_element=True), SEEDS, st.sampled_from((np.int8, np.int16, np.float64)))
def test_maxima_never_come_from_the_padding(case: tuple[Geometry, int, int], seed: int, dtype: type) -> None:
    geometry, height, width = case
    images = images_for(height, width, seed, dtype)
    images -= np.asarray(abs(images).max(), dtype) if dtype is not np.int8 else np.int8(0)
    found = window_maxima(images, geometry)
    assert found.dtype == dtype
    assert np.array_equal(found, naive(images, geometry, max, None))


def test_maxima_of_lowest_codes() -> None:
    images = np.full((1, 3, 3, 1), -128, np.int8)
    geometry = Geometry((2, 2), (1, 1), (1, 1, 1, 1), (1, 1))
    assert (window_maxima(images, geometry) == -128).all()
    assert (window_maxima(np.full((1, 3, 3, 1), -np.inf), geometry) == -np.inf).all()


@given(geometries())
def test_counts(case: tuple[Geometry, int, int]) -> None:
    geometry, height, width = case
    lines = elements_of_windows(geometry, height, width)
    expected = [[sum(tap is not None for tap in window) for window in line] for line in lines]
    assert window_counts(geometry, height, width).tolist() == expected


@given(geometries(), SEEDS, st.integers(-5, 5))
def test_im2col(case: tuple[Geometry, int, int], seed: int, fill: int) -> None:
    geometry, height, width = case
    images = images_for(height, width, seed)
    expected = [
        [int(value) for tap in window for value in ([fill] * images.shape[3] if tap is None else image[tap])]
        for image in images
        for line in elements_of_windows(geometry, height, width)
        for window in line
    ]
    assert im2col(images, geometry, fill).tolist() == expected


@given(geometries(), SEEDS, st.data())
def test_padded_rows_are_a_part_of_the_padded_images(
    case: tuple[Geometry, int, int], seed: int, data: st.DataObject
) -> None:
    geometry, height, width = case
    images = images_for(height, width, seed)
    rows, _ = output_size(geometry, height, width)
    start = data.draw(st.integers(0, rows - 1))
    stop = data.draw(st.integers(start + 1, rows))
    top, left, bottom, right = geometry.padding
    whole = np.pad(images.astype(np.float64), ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=7)
    extent = (geometry.kernel[0] - 1) * geometry.dilations[0] + 1
    expected = whole[:, start * geometry.strides[0] : (stop - 1) * geometry.strides[0] + extent]
    found = padded_rows(images, geometry, slice(start, stop), np.dtype(np.float64), fill=7)
    assert np.array_equal(found, expected)
    assert not np.shares_memory(found, images)


@given(st.integers(1, 50), st.integers(1, 50), st.integers(1, 1 << 20), st.sampled_from((None, 1, 3)))
def test_blocks_cover_everything_once(count: int, rows: int, cost: int, most: int | None) -> None:
    covered = np.zeros((count, rows), int)
    for images, part in blocks(count, rows, cost, most):
        covered[images, part] += 1
        size = (images.stop - images.start) * (part.stop - part.start)
        assert size * cost <= windows.BLOCK_ELEMENTS or size == 1
        assert most is None or images.stop - images.start <= most
    assert (covered == 1).all()


@pytest.mark.parametrize("elements", [1, 40, 1 << 17])
def test_results_do_not_depend_on_the_size_of_blocks(elements: int, monkeypatch: pytest.MonkeyPatch) -> None:
    geometry = Geometry((3, 2), (2, 1), (1, 1, 2, 0), (1, 1))
    images = images_for(9, 7, seed=4)
    expected = naive(images, geometry, sum, None)
    monkeypatch.setattr(windows, "BLOCK_ELEMENTS", elements)
    assert np.array_equal(window_sums(images, geometry, np.dtype(np.int64)), expected)
