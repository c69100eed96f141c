"""Paddings: TFLite knows two schemes, everything else is an operator of its own."""

from __future__ import annotations

import numpy as np
import tflite

from mrqc.backends.tflite.file import Options
from mrqc.backends.tflite.writer import Site
from mrqc.ir import Data, TensorType, Value
from mrqc.ops.window import Window


def same_padding(window: Window, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return the padding that ``SAME`` stands for: as many windows as strides, the odd element at the end."""
    totals = [
        max((-(-extent // stride) - 1) * stride + covered - extent, 0)
        for extent, stride, covered in zip(size, window.strides, window.extent, strict=True)
    ]
    top, left = totals[0] // 2, totals[1] // 2
    return (top, left, totals[0] - top, totals[1] - left)


def padding_scheme(window: Window, size: tuple[int, int]) -> int | None:
    """Return the scheme that gives this window its padding on an image of this size, or None."""
    if not window.is_padded:
        return tflite.Padding.VALID
    return tflite.Padding.SAME if window.padding == same_padding(window, size) else None


def padded_input(
    site: Site, value: Value, window: Window, size: tuple[int, int] | None, real: float
) -> tuple[int, int]:
    """Return the tensor that a windowed operator reads, and its padding scheme.

    Where no scheme fits, or ``size`` is None, a ``PADV2`` writes a border of the real number ``real`` around the
    image.
    """
    scheme = padding_scheme(window, size) if size is not None else None
    if scheme is not None:
        return site.operand(value), scheme
    top, left, bottom, right = window.padding
    batch, height, width, channels = value.type.shape
    paddings = site.writer.integers("paddings", np.array([[0, 0], [top, bottom], [left, right], [0, 0]]))
    type_ = TensorType((batch, height + top + bottom, width + left + right, channels), value.type.element)
    element = value.type.element
    if element.quantization is None:
        border = Data(np.float32(real).reshape(1))
    else:
        codes = element.quantization.quantize(np.array([real]), element.dtype.minimum, element.dtype.maximum)
        border = Data.of(codes, element.dtype)
    content = site.writer.constant("border", border, element)
    padded = site.step("PADV2", (site.operand(value), paddings, content), type_, Options("PadV2Options"))
    return padded, tflite.Padding.VALID


def window_options(strides: tuple[int, int], scheme: int) -> tuple[tuple[str, int], ...]:
    """Return the options that all windowed operators share."""
    return (("Padding", scheme), ("StrideH", strides[0]), ("StrideW", strides[1]))
