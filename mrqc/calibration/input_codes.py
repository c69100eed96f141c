"""From what a data file holds to what a model takes: codes or real numbers, in the model's layout."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrqc.errors import InputError, UsageError
from mrqc.ir.dtype import DType
from mrqc.ir.op import Value

_IMAGE_CHANNELS = (1, 3)
_SIGNED_PIXEL_OFFSET = 128


@dataclass(frozen=True, slots=True)
class PixelNormalization:
    """``(pixel - mean) / std``, with one number for all channels or one for each."""

    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)

    @classmethod
    def parse(cls, mean: str | None, std: str | None) -> PixelNormalization | None:
        """Return what the options ``--mean`` and ``--std`` say, or None where both are absent.

        Raises:
            UsageError: A text is not a comma-separated list of numbers, or a std is not positive.
        """
        if mean is None and std is None:
            return None
        normalization = cls(_numbers("--mean", mean or "0"), _numbers("--std", std or "1"))
        if min(normalization.std) <= 0:
            raise UsageError(f"--std: must be positive, found {min(normalization.std):g}")
        return normalization

    def apply(self, pixels: NDArray[Any], channel_axis: int) -> NDArray[np.float64]:
        """Return the real values of ``pixels``.

        Raises:
            InputError: There are neither one nor as many means (or stds) as channels.
        """
        mean, std = (self._along(numbers, pixels, channel_axis) for numbers in (self.mean, self.std))
        return (pixels.astype(np.float64) - mean) / std

    @staticmethod
    def _along(numbers: tuple[float, ...], pixels: NDArray[Any], channel_axis: int) -> NDArray[np.float64]:
        channels = pixels.shape[channel_axis]
        if len(numbers) not in (1, channels):
            raise InputError(
                f"--mean and --std take one number or {channels}, one for each channel; found {len(numbers)}"
            )
        shape = [1] * pixels.ndim
        shape[channel_axis] = len(numbers)
        return np.asarray(numbers, np.float64).reshape(shape)


@dataclass(frozen=True, slots=True)
class ImageLayout:
    """How an image lies in an input tensor of shape N,H,W,C or N,C,H,W."""

    height: int
    width: int
    channels: int
    channels_first: bool

    @classmethod
    def of(cls, shape: tuple[int, ...]) -> ImageLayout | None:
        """Return the layout of a model's input, or None where it cannot be an image.

        An image has one channel or three; where both positions would do, the last axis is taken.
        """
        if len(shape) != 4:
            return None
        if shape[3] in _IMAGE_CHANNELS:
            return cls(shape[1], shape[2], shape[3], channels_first=False)
        if shape[1] in _IMAGE_CHANNELS:
            return cls(shape[2], shape[3], shape[1], channels_first=True)
        return None

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels: the shape of one image as files hold it."""
        return (self.height, self.width, self.channels)


@dataclass(frozen=True, slots=True)
class InputConverter:
    """Turns samples into what a model's input takes, by the dtype of the samples.

    | samples | integer input | float input |
    |---|---|---|
    | uint8 (images) | codes; minus 128 for an i8 input | pixel values |
    | uint8 with a normalization | ``(pixel - mean) / std``, quantized | ``(pixel - mean) / std`` |
    | of the input's integer dtype | codes | - |
    | floating | real values, quantized by the input's scale | real values |

    Attributes:
        input: The input of the original model.
        normalization: Applied to 8-bit pixels; None leaves them as they are.
    """

    input: Value
    normalization: PixelNormalization | None = None

    def convert(self, samples: NDArray[Any], source: str) -> NDArray[Any]:
        """Return ``samples`` (N first) in the dtype and layout of the input.

        Raises:
            InputError: Wrong shape or dtype; the message names ``source``, what was found and what is taken.
        """
        dtype = self.input.type.dtype
        samples = self._in_layout(samples, source)
        if self._are_pixels(samples):
            return self._from_pixels(samples)
        if self.normalization is not None:
            raise InputError(f"{source}: --mean and --std are for 8-bit images, and these samples are {samples.dtype}")
        if self._holds_codes(samples.dtype):
            return samples
        if np.issubdtype(samples.dtype, np.floating):
            _check_finite(samples, source)
            return self._from_reals(samples.astype(np.float64))
        expected = f"{dtype.numpy} codes" if dtype.is_integer else "uint8 pixels"
        raise InputError(
            f"{source}: samples of {samples.dtype}, but input {self.input.name!r} takes {expected} "
            "or real numbers (float)"
        )

    def real_values(self, converted: NDArray[Any]) -> NDArray[np.float64]:
        """Return the real numbers that converted samples stand for."""
        quantization = self.input.type.quantization
        return converted.astype(np.float64) if quantization is None else quantization.dequantize(converted)

    def _are_pixels(self, samples: NDArray[Any]) -> bool:
        if samples.dtype != np.uint8:
            return False
        if self.normalization is not None or not self.input.type.dtype.is_integer:
            return True
        # Without the form of an image, uint8 numbers for a signed input are more likely a mistake.
        return self.input.type.dtype is DType.I8 and ImageLayout.of(self.input.type.shape) is not None

    def _holds_codes(self, dtype: Any) -> bool:
        return self.input.type.dtype.is_integer and np.dtype(dtype) == self.input.type.dtype.numpy

    def _in_layout(self, samples: NDArray[Any], source: str) -> NDArray[Any]:
        shape = self.input.type.shape
        if samples.ndim == len(shape) and samples.shape[1:] == shape[1:]:
            return samples
        layout = ImageLayout.of(shape)
        is_image = layout is not None and samples.dtype == np.uint8 and samples.shape[1:] == layout.image_shape
        if is_image:
            return samples.transpose(0, 3, 1, 2)
        expected = ["N", *shape[1:]]
        raise InputError(
            f"{source}: samples of shape {list(samples.shape)}, but input {self.input.name!r} takes "
            f"[{', '.join(map(str, expected))}]"
        )

    def _from_pixels(self, pixels: NDArray[Any]) -> NDArray[Any]:
        dtype = self.input.type.dtype
        if self.normalization is not None:
            layout = ImageLayout.of(self.input.type.shape)
            channel_axis = 1 if layout is not None and layout.channels_first else pixels.ndim - 1
            return self._from_reals(self.normalization.apply(pixels, channel_axis))
        if dtype is DType.I8:
            return (pixels.astype(np.int16) - _SIGNED_PIXEL_OFFSET).astype(np.int8)
        return pixels.astype(dtype.numpy)

    def _from_reals(self, reals: NDArray[np.float64]) -> NDArray[Any]:
        dtype, quantization = self.input.type.dtype, self.input.type.quantization
        if not dtype.is_integer:
            return reals.astype(np.float32)
        if quantization is None:
            raise InputError(
                f"input {self.input.name!r} takes {dtype.numpy} codes without a scale; real numbers mean nothing to it"
            )
        return quantization.quantize(reals, dtype.minimum, dtype.maximum).astype(dtype.numpy)


def _check_finite(samples: NDArray[Any], source: str) -> None:
    # What overflows single precision would be infinite to a float model.
    with np.errstate(over="ignore"):
        bad = np.count_nonzero(~np.isfinite(samples.astype(np.float32)))
    if bad:
        raise InputError(f"{source}: {bad} of {samples.size} numbers are infinite in float32, or not a number")


def _numbers(option: str, text: str) -> tuple[float, ...]:
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"{option}: one number, or one for each channel with commas between, found {text!r}") from None
    if not all(map(math.isfinite, numbers)):
        raise UsageError(f"{option}: must be finite, found {text!r}")
    return numbers
