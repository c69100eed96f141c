"""Windows of convolutions and pools, SAME and VALID worked out, and the activation fused behind."""

from __future__ import annotations

import math

from mrqc.frontends.constants import UnsupportedError
from mrqc.frontends.tflite.site import Site
from mrqc.ops.nn import UNBOUNDED
from mrqc.ops.window import Window

WINDOW_OPTIONS = ("padding", "stride_h", "stride_w")
DILATION_OPTIONS = ("dilation_h_factor", "dilation_w_factor")
FUSED = "fused_activation_function"
_SAME, _VALID = 0, 1
_CLAMPS = {0: UNBOUNDED, 1: (0.0, math.inf), 2: (-1.0, 1.0), 3: (0.0, 6.0)}
_OTHER_ACTIVATIONS = {4: "TANH", 5: "SIGN_BIT"}


def read_window(site: Site, kernel: tuple[int, int], height: int, width: int) -> Window:
    """Return the window of an operator over an image of that size.

    Raises:
        UnsupportedError: It does not fit the image, or its padding is neither SAME nor VALID.
    """
    strides = (site.integer("stride_h"), site.integer("stride_w"))
    dilations = (1, 1)
    if DILATION_OPTIONS[0] in site.options:
        dilations = (site.integer(DILATION_OPTIONS[0]), site.integer(DILATION_OPTIONS[1]))
    window = Window(kernel, strides, dilations=dilations)
    if min(*kernel, *strides, *dilations) >= 1:
        window = Window(kernel, strides, _padding(site, window, (height, width)), dilations)
    problems = list(window.problems(height, width))
    if problems:
        raise UnsupportedError("; ".join(problems))
    return window


def read_transposed_padding(
    site: Site, kernel: tuple[int, int], strides: tuple[int, int], size: tuple[int, int]
) -> tuple[int, int]:
    """Return what is cut off the top and left of a transposed convolution with a result of that size.

    Raises:
        UnsupportedError: The padding is neither SAME nor VALID.
    """
    top, left, _, _ = _padding(site, Window(kernel, strides), size)
    return top, left


def fused_clamp(site: Site) -> tuple[float, float]:
    """Return the bounds of the activation that is fused behind an operator.

    Raises:
        UnsupportedError: It is none that clamps.
    """
    number = site.integer(FUSED)
    clamp = _CLAMPS.get(number)
    if clamp is None:
        raise UnsupportedError(
            f"the fused activation {_OTHER_ACTIVATIONS.get(number, number)} is not supported",
            "possible: NONE, RELU, RELU_N1_TO_1, RELU6",
        )
    return clamp


def _padding(site: Site, window: Window, size: tuple[int, int]) -> tuple[int, int, int, int]:
    kind = site.integer("padding")
    if kind == _VALID:
        return (0, 0, 0, 0)
    if kind != _SAME:
        raise UnsupportedError(f"padding number {kind} is neither SAME nor VALID")
    # The odd row or column goes to the bottom or right.
    (top, bottom), (left, right) = (
        (total // 2, total - total // 2)
        for extent, stride, length in zip(window.extent, window.strides, size, strict=True)
        for total in (max(((length - 1) // stride) * stride + extent - length, 0),)
    )
    return (top, left, bottom, right)
