"""Statistics of activations: exact, and the same however the samples are split."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

from mrqc.calibration import CodeHistogram, Moments, ValueStatistics
from mrqc.calibration.observers import BINS_OF_16_BITS, MOST_CHANNELS
from mrqc.ir import FLOAT, DType, Element, Quantization, TensorType

SHAPES = st.sampled_from([(1,), (2,), (), (1, 1), (1, 3), (2, 5), (1, 4, 3), (2, 3, 2, 4), (1, 7, 1, 1)])
DTYPES = st.sampled_from([DType.U8, DType.I8, DType.I16, DType.I32, DType.I64, DType.F32])


def activations(type_: TensorType, samples: int, seed: int) -> NDArray[np.generic]:
    random = np.random.default_rng(seed)
    shape = (samples * type_.shape[0], *type_.shape[1:]) if type_.shape else ()
    if not type_.dtype.is_integer:
        return random.standard_normal(shape) * np.exp2(random.integers(-40, 40, shape))
    return random.integers(type_.dtype.minimum, type_.dtype.maximum, shape, type_.dtype.numpy, endpoint=True)


def split(array: NDArray[np.generic], type_: TensorType, cuts: list[int]) -> list[NDArray[np.generic]]:
    extent = type_.shape[0] if type_.shape else 1
    return np.split(np.atleast_1d(array), [cut * extent for cut in cuts])


def assert_same(found: ValueStatistics, expected: ValueStatistics) -> None:
    assert (found.histogram is None) == (expected.histogram is None)
    for one, other in ((found.moments, expected.moments), (found.histogram, expected.histogram)):
        if one is not None and other is not None:
            theirs = other.to_arrays()
            for name, array in one.to_arrays().items():
                assert_array_equal(array, theirs[name], err_msg=name)
                assert array.dtype == theirs[name].dtype
    assert_array_equal(found.moments.mean, expected.moments.mean)
    assert_array_equal(found.moments.variance, expected.moments.variance)


@given(shape=SHAPES, dtype=DTYPES, samples=st.integers(2, 7), seed=st.integers(0, 1000), data=st.data())
def test_any_split_and_any_order_of_merging_gives_the_same(
    shape: tuple[int, ...], dtype: DType, samples: int, seed: int, data: st.DataObject
) -> None:
    type_ = TensorType(shape, FLOAT if dtype is DType.F32 else Element.per_tensor(dtype, 0.5))
    samples = samples if shape else 1
    array = activations(type_, samples, seed)
    cuts = sorted(data.draw(st.sets(st.integers(1, samples - 1)))) if samples > 1 else []
    parts = [ValueStatistics.of(part, type_) for part in split(array, type_, cuts)]
    while len(parts) > 1:
        first = parts.pop(data.draw(st.integers(0, len(parts) - 1)))
        second = parts.pop(data.draw(st.integers(0, len(parts) - 1)))
        parts.append(first.merge(second))
    assert_same(parts[0], ValueStatistics.of(array, type_))


@given(shape=SHAPES, dtype=DTYPES, seed=st.integers(0, 1000))
def test_moments_are_those_of_exact_arithmetic(shape: tuple[int, ...], dtype: DType, seed: int) -> None:
    type_ = TensorType(shape, FLOAT if dtype is DType.F32 else Element(dtype))
    array = activations(type_, 3 if shape else 1, seed)
    channels = shape[-1] if len(shape) > 1 else 1
    moments = ValueStatistics.of(array, type_).moments
    for channel, numbers in enumerate(array.reshape(-1, channels).T):
        exact = [Fraction(number.item()) for number in numbers]
        mean = sum(exact) / len(exact)
        assert moments.count == len(exact)
        assert moments.minimum[channel] == numbers.min()
        assert moments.maximum[channel] == numbers.max()
        scale = float(max(map(abs, exact))) or 1.0
        assert math.isclose(moments.mean[channel], mean, rel_tol=1e-14, abs_tol=1e-15 * scale)
        variance = float(sum((number - mean) ** 2 for number in exact) / len(exact))
        assert math.isclose(moments.variance[channel], variance, rel_tol=1e-9, abs_tol=1e-14 * scale**2)


@given(shape=SHAPES, dtype=st.sampled_from([DType.U8, DType.I8]), seed=st.integers(0, 1000))
def test_codes_of_8_bits_are_counted_one_by_one(shape: tuple[int, ...], dtype: DType, seed: int) -> None:
    type_ = TensorType(shape, Element.per_tensor(dtype, 0.1))
    codes = activations(type_, 4 if shape else 1, seed)
    histogram = CodeHistogram.of(codes, type_)
    channels = shape[-1] if len(shape) > 1 else 1
    assert histogram.rows.shape == (channels, 256)
    for row, column in zip(histogram.rows, codes.reshape(-1, channels).T, strict=True):
        assert row.tolist() == [np.count_nonzero(column == code) for code in range(dtype.minimum, dtype.maximum + 1)]
    assert histogram.codes.tolist() == list(range(dtype.minimum, dtype.maximum + 1))
    assert histogram.total == codes.size == histogram.counts.sum()
    direct = Moments.of(codes, type_).to_arrays()
    for name, array in histogram.moments().to_arrays().items():
        assert_array_equal(array, direct[name], err_msg=name)


def test_how_an_array_lies_in_memory_has_no_influence() -> None:
    type_ = TensorType((1, 4000, 3), FLOAT)
    reals = activations(type_, 1, 3)
    expected = ValueStatistics.of(reals, type_)
    assert_same(ValueStatistics.of(np.asfortranarray(reals), type_), expected)
    assert_same(ValueStatistics.of(np.repeat(reals, 2, axis=2)[..., ::2], type_), expected)


def test_more_codes_than_are_counted_at_once() -> None:
    type_ = TensorType((1, 700, 800, 3), Element.per_tensor(DType.I8, 0.1))
    codes = activations(type_, 1, 5)
    expected = np.stack(
        [np.bincount(codes[..., channel].ravel().astype(int) + 128, minlength=256) for channel in range(3)]
    )
    assert_array_equal(CodeHistogram.of(codes, type_).rows, expected)


def test_codes_of_16_bits_are_counted_in_bins() -> None:
    type_ = TensorType((1, 5, 2), Element.per_tensor(DType.I16, 0.1))
    codes = np.asarray([-32768, -32753, -32752, -1, 0, 15, 16, 32751, 32752, 32767], np.int16).reshape(1, 5, 2)
    histogram = CodeHistogram.of(codes, type_)
    assert histogram.rows.shape == (1, BINS_OF_16_BITS)
    assert histogram.channels is None
    occupied = np.flatnonzero(histogram.counts)
    assert occupied.tolist() == [0, 1, 2047, 2048, 2049, 4094, 4095]
    assert histogram.counts[occupied].tolist() == [2, 1, 1, 2, 1, 1, 2]
    assert np.all(np.abs(histogram.codes[(codes.ravel().astype(int) + 32768) // 16] - codes.ravel()) <= 7.5)
    assert histogram.codes[0] == -32760.5


def test_a_tensor_of_very_many_channels_is_counted_as_one() -> None:
    type_ = TensorType((1, MOST_CHANNELS + 1), Element.per_tensor(DType.U8, 0.1))
    codes = activations(type_, 3, 2)
    statistics = ValueStatistics.of(codes, type_)
    assert statistics.histogram is not None
    assert statistics.histogram.channels is None
    assert statistics.histogram.counts.tolist() == np.bincount(codes.ravel().astype(int), minlength=256).tolist()
    assert statistics.moments.minimum.tolist() == codes.min(axis=0).tolist()
    assert_array_equal(statistics.moments.mean, codes.astype(float).mean(axis=0))


def test_real_values_follow_the_scales() -> None:
    codes = activations(TensorType((1, 6, 3), Element(DType.U8)), 5, 9)
    for quantization in (
        Quantization.per_tensor(0.25, 7),
        Quantization.per_axis((0.25, 0.5, 2.0), (0, 3, 9), axis=2),
    ):
        statistics = ValueStatistics.of(codes, TensorType((1, 6, 3), Element(DType.U8, quantization)))
        reals = quantization.dequantize(codes)
        assert np.allclose(statistics.mean, reals.mean(axis=(0, 1)), rtol=1e-12)
        assert np.allclose(statistics.variance, reals.var(axis=(0, 1)), rtol=1e-10)
        assert statistics.real_range == (reals.min(), reals.max())


@pytest.mark.parametrize("dtype", [DType.U8, DType.I16, DType.I32, DType.F32])
def test_arrays_bring_statistics_back(dtype: DType) -> None:
    type_ = TensorType((2, 3, 4), FLOAT if dtype is DType.F32 else Element(dtype))
    statistics = ValueStatistics.of(activations(type_, 3, 1), type_)
    histogram = statistics.histogram
    again = ValueStatistics(
        type_,
        Moments.from_arrays(statistics.moments.to_arrays(), type_),
        None if histogram is None else CodeHistogram.from_arrays(histogram.to_arrays(), type_),
    )
    assert_same(again, statistics)
