"""Convolutions by matrix products and by taps, against loops over pixels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from window_geometry import Geometry, elements_of_windows, geometries

from mrqc.numerics import Convolution, windows

DTYPES = st.sampled_from((np.float32, np.float64, np.int64))
CHANNELS = st.sampled_from(((1, 1, 1), (1, 3, 2), (2, 2, 2), (3, 1, 2), (4, 1, 1), (3, 2, 1), (2, 3, 3)))
"""Groups, input channels of a group, output channels of a group."""


def naive(images: np.ndarray, weights: np.ndarray, geometry: Geometry, groups: int, offset: int) -> np.ndarray:
    lines = elements_of_windows(geometry, images.shape[1], images.shape[2])
    outputs, _, _, depth = weights.shape
    taps_of = weights.reshape(outputs, -1, depth)
    result = np.zeros((images.shape[0], len(lines), len(lines[0]), outputs), np.int64)
    for image, row, column, output in np.ndindex(*result.shape):
        first = output // (outputs // groups) * depth
        for index, tap in enumerate(lines[row][column]):
            if tap is not None:
                pixel = images[image, tap[0], tap[1], first : first + depth].astype(np.int64) - offset
                result[image, row, column, output] += int(pixel @ taps_of[output, index].astype(np.int64))
    return result


def whole(convolution: Convolution, images: np.ndarray) -> np.ndarray:
    """Put the blocks together; each place must be written once."""
    result = np.full((images.shape[0], *convolution.output_size), np.nan)
    for where, sums in convolution.blocks(images):
        assert np.isnan(result[where]).all()
        result[where] = sums
    return result


@given(geometries(), CHANNELS, DTYPES, st.integers(0, 2**32), st.integers(-3, 140), st.integers(1, 3))
def test_convolution(
    case: tuple[Geometry, int, int],
    channels: tuple[int, int, int],
    dtype: type,
    seed: int,
    offset: int,
    count: int,
) -> None:
    geometry, height, width = case
    groups, depth, outputs = channels
    random = np.random.default_rng(seed)
    images = random.integers(0, 256, (count, height, width, groups * depth)).astype(np.uint8)
    weights = random.integers(-128, 128, (groups * outputs, *geometry.kernel, depth)).astype(np.int8)
    convolution = Convolution(weights, geometry, (height, width), groups, np.dtype(dtype), offset)
    assert np.array_equal(whole(convolution, images), naive(images, weights, geometry, groups, offset))


@settings(max_examples=20)
@given(geometries(), CHANNELS, st.integers(0, 2**32), st.sampled_from((1, 30, 300)))
def test_convolution_in_small_blocks(
    case: tuple[Geometry, int, int], channels: tuple[int, int, int], seed: int, elements: int
) -> None:
    geometry, height, width = case
    groups, depth, outputs = channels
    random = np.random.default_rng(seed)
    images = random.integers(-128, 128, (3, height, width, groups * depth)).astype(np.int8)
    weights = random.integers(-128, 128, (groups * outputs, *geometry.kernel, depth)).astype(np.int8)
    convolution = Convolution(weights, geometry, (height, width), groups, np.dtype(np.float32))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(windows, "BLOCK_ELEMENTS", elements)
        found = whole(convolution, images)
    assert np.array_equal(found, naive(images, weights, geometry, groups, 0))


def test_transposed_images() -> None:
    """Images need not be contiguous."""
    random = np.random.default_rng(5)
    images = random.integers(-128, 128, (2, 3, 6, 5)).astype(np.int8).transpose(0, 2, 3, 1)
    geometry = Geometry((1, 1), (1, 1), (0, 0, 0, 0), (1, 1))
    weights = random.integers(-128, 128, (4, 1, 1, 3)).astype(np.int8)
    found = whole(Convolution(weights, geometry, (6, 5), 1, np.dtype(np.float32)), images)
    assert np.array_equal(found, naive(images, weights, geometry, 1, 0))


@pytest.mark.parametrize("kernel", [1, 3])
def test_float_products_do_not_depend_on_the_batch(kernel: int) -> None:
    random = np.random.default_rng(6)
    images = random.normal(size=(9, 7, 7, 33))
    weights = random.normal(size=(21, kernel, kernel, 33))
    geometry = Geometry((kernel, kernel), (1, 1), (1, 1, 1, 1), (1, 1))
    convolution = Convolution(weights, geometry, (7, 7), 1, np.dtype(np.float64), most_images=1)
    together = whole(convolution, images)
    apart = np.concatenate([whole(convolution, images[index : index + 1]) for index in range(9)])
    assert together.tobytes() == apart.tobytes()
