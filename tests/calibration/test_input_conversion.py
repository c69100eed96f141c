from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from mrqc.calibration import InputConverter, PixelNormalization
from mrqc.errors import InputError, UsageError
from mrqc.ir import DType, Element, TensorType, Value
from mrqc.ir.types import FLOAT

PIXELS = np.arange(2 * 2 * 2 * 3, dtype=np.uint8).reshape(2, 2, 2, 3) * 10
U8 = Element.per_tensor(DType.U8, 0.5, 3)
I8 = Element.per_tensor(DType.I8, 1.0, -128)


def image_input(element: Element, shape: tuple[int, ...] = (1, 2, 2, 3)) -> Value:
    return Value("image", TensorType(shape, element))


def convert(value: Value, samples: np.ndarray[Any, Any], normalization: PixelNormalization | None = None) -> Any:
    return InputConverter(value, normalization).convert(samples, "data.npz")


@pytest.mark.parametrize(
    ("element", "expected"),
    [
        (U8, PIXELS),
        (I8, (PIXELS.astype(int) - 128).astype(np.int8)),
        (FLOAT, PIXELS.astype(np.float32)),
    ],
    ids=["u8", "i8", "float"],
)
def test_pixels_become_what_the_dtype_of_the_input_says(element: Element, expected: Any) -> None:
    converted = convert(image_input(element), PIXELS)
    assert converted.dtype == element.dtype.numpy
    assert_array_equal(converted, expected)


def test_images_are_transposed_for_a_channels_first_input() -> None:
    value = image_input(FLOAT, (1, 3, 2, 2))
    assert_array_equal(convert(value, PIXELS), PIXELS.transpose(0, 3, 1, 2))
    already = np.ascontiguousarray(PIXELS.transpose(0, 3, 1, 2))
    assert_array_equal(convert(value, already), already)


def test_only_pixels_are_transposed() -> None:
    with pytest.raises(InputError, match=r"shape \[2, 2, 2, 3\], but input 'image' takes \[N, 3, 2, 2\]"):
        convert(image_input(FLOAT, (1, 3, 2, 2)), PIXELS.astype(np.float32))


def test_normalization_gives_real_values_to_a_float_model() -> None:
    normalization = PixelNormalization.parse("10,20,30", "2")
    assert normalization is not None
    expected = (PIXELS - np.array([10.0, 20.0, 30.0])) / 2
    assert_array_equal(convert(image_input(FLOAT), PIXELS, normalization), expected.astype(np.float32))
    first = convert(image_input(FLOAT, (1, 3, 2, 2)), PIXELS, normalization)
    assert_array_equal(first, expected.transpose(0, 3, 1, 2).astype(np.float32))


def test_normalized_pixels_are_quantized_for_an_integer_model() -> None:
    normalization = PixelNormalization((20.0,), (4.0,))
    converted = convert(image_input(U8), PIXELS, normalization)
    assert converted.dtype == np.uint8
    assert_array_equal(converted, np.clip(np.rint((PIXELS - 20.0) / 4 / 0.5) + 3, 0, 255))


def test_integers_of_the_inputs_dtype_are_codes() -> None:
    codes = np.full((4, 2, 2, 3), -7, np.int8)
    assert_array_equal(convert(image_input(I8), codes), codes)


def test_floats_are_real_values() -> None:
    reals = np.linspace(-3, 200, 24).reshape(2, 2, 2, 3)
    assert_array_equal(convert(image_input(FLOAT), reals), reals.astype(np.float32))
    codes = convert(image_input(U8), reals)
    assert_array_equal(codes, np.clip(np.rint(reals / 0.5) + 3, 0, 255))
    assert codes.dtype == np.uint8


def test_real_values_undo_the_quantization() -> None:
    converter = InputConverter(image_input(U8))
    assert_array_equal(converter.real_values(PIXELS), (PIXELS.astype(float) - 3) * 0.5)
    floats = PIXELS.astype(np.float32)
    assert_array_equal(InputConverter(image_input(FLOAT)).real_values(floats), floats)


@pytest.mark.parametrize(
    ("value", "samples", "message"),
    [
        (image_input(U8), PIXELS.astype(np.int8), "samples of int8, but input 'image' takes uint8 codes"),
        (image_input(FLOAT), PIXELS.astype(np.int8), "samples of int8, but input 'image' takes uint8 pixels"),
        (image_input(U8), PIXELS[:, :1], r"shape \[2, 1, 2, 3\], but input 'image' takes \[N, 2, 2, 3\]"),
        (image_input(U8), PIXELS[0], r"shape \[2, 2, 3\], but input 'image' takes \[N, 2, 2, 3\]"),
        (
            image_input(FLOAT),
            np.full((1, 2, 2, 3), np.nan),
            "12 of 12 numbers are infinite in float32, or not a number",
        ),
        (image_input(FLOAT), np.full((1, 2, 2, 3), 1e300), "12 of 12 numbers are infinite"),
        (Value("row", TensorType((1, 4), I8)), np.zeros((2, 4), np.uint8), "samples of uint8, but input 'row'"),
        (Value("raw", TensorType((1, 4), Element(DType.I8))), np.zeros((2, 4)), "codes without a scale"),
    ],
    ids=["u8 input", "codes for floats", "height", "no batch", "nan", "too great", "no image", "no scale"],
)
def test_what_does_not_fit_is_named(value: Value, samples: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        convert(value, samples)


def test_a_normalization_is_only_for_pixels() -> None:
    with pytest.raises(InputError, match="--mean and --std are for 8-bit images, and these samples are float64"):
        convert(image_input(FLOAT), PIXELS.astype(float), PixelNormalization((1.0,)))
    with pytest.raises(InputError, match="one number or 3, one for each channel; found 2"):
        convert(image_input(FLOAT), PIXELS, PixelNormalization((1.0, 2.0)))


@pytest.mark.parametrize(
    ("mean", "std", "message"),
    [
        ("a", None, "--mean: one number, or one for each channel with commas between, found 'a'"),
        ("1,", None, "--mean"),
        (None, "nan", "--std: must be finite"),
        (None, "0", "--std: must be positive, found 0"),
    ],
)
def test_a_normalization_that_does_not_parse(mean: str | None, std: str | None, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        PixelNormalization.parse(mean, std)


def test_no_normalization_without_options() -> None:
    assert PixelNormalization.parse(None, None) is None
    assert PixelNormalization.parse(None, "2,3,4") == PixelNormalization((0.0,), (2.0, 3.0, 4.0))
