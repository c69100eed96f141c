"""Changes of size."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction

import numpy as np

from mrqc.backends.onnx.site import ONNX_EXPORTS, Site
from mrqc.backends.onnx.writer import Layout
from mrqc.ir import Op
from mrqc.ops import nn

_LAYOUT = Layout.CHANNELS_FIRST
_COORDINATES: Mapping[nn.Coordinates, str] = {
    nn.Coordinates.ASYMMETRIC: "asymmetric",
    nn.Coordinates.HALF_PIXEL: "half_pixel",
    nn.Coordinates.PYTORCH_HALF_PIXEL: "pytorch_half_pixel",
    nn.Coordinates.ALIGN_CORNERS: "align_corners",
}
_NEAREST: Mapping[nn.Nearest, str] = {
    nn.Nearest.FLOOR: "floor",
    nn.Nearest.CEIL: "ceil",
    nn.Nearest.PREFER_FLOOR: "round_prefer_floor",
    nn.Nearest.PREFER_CEIL: "round_prefer_ceil",
}
_OFF = Fraction(1, 1 << 10)
"""No place among fewer than thousands of pixels is off by more."""


@ONNX_EXPORTS.register(nn.ResizeBilinear)
def export_resize_bilinear(op: Op, site: Site) -> None:
    """``Resize`` of the real values."""
    assert isinstance(op, nn.ResizeBilinear)
    inputs = [site.writer.real(op.input, _LAYOUT), "", "", _sizes(op, site)]
    coordinates = _COORDINATES[op.coordinates]
    name = site.node("Resize", inputs, mode="linear", coordinate_transformation_mode=coordinates)
    site.define(name, _LAYOUT)


@ONNX_EXPORTS.register(nn.ResizeNearest)
def export_resize_nearest(op: Op, site: Site) -> None:
    """``Resize`` of what is stored, in modes that choose the same pixels in single precision too."""
    assert isinstance(op, nn.ResizeNearest)
    op = _in_safe_modes(op)
    operand, define = site.movable(op.input, _LAYOUT)
    inputs = [operand, "", "", _sizes(op, site)]
    name = site.node(
        "Resize",
        inputs,
        mode="nearest",
        coordinate_transformation_mode=_COORDINATES[op.coordinates],
        nearest_mode=_NEAREST[op.rounding],
    )
    define(name, _LAYOUT)


def _in_safe_modes(op: nn.ResizeNearest) -> nn.ResizeNearest:
    """Return an op that chooses the same pixels without deciding on a hair's breadth; the same one if there is none.

    Runtimes find places in single precision, where the middle one of seven pixels may lie at 2.9999998 in place of 3.
    """
    modes = [(op.coordinates, op.rounding), *itertools.product(_COORDINATES, _NEAREST)]
    candidates = (replace(op, coordinates=coordinates, rounding=rounding) for coordinates, rounding in modes)
    return next((other for other in candidates if all(_is_safe(other, op, axis) for axis in (0, 1))), op)


def _is_safe(op: nn.ResizeNearest, wanted: nn.ResizeNearest, axis: int) -> bool:
    """Whether places that are a little off along an axis lead to the wanted pixels as well."""
    size = op.input.type.shape[1 + axis]
    denominator = size // math.gcd(size, op.size[axis])
    # A ratio that is a number of single precision leads to exact places, and so does a quotient of two integers.
    is_exact = denominator & (denominator - 1) == 0 or op.coordinates is nn.Coordinates.ALIGN_CORNERS
    off = Fraction(0) if is_exact else _OFF
    return all(op.indices(axis, each) == wanted.indices(axis) for each in (-off, off))


def _sizes(op: nn.ResizeBilinear | nn.ResizeNearest, site: Site) -> str:
    """Return the extents of the result as ONNX orders them."""
    batch, _, _, channels = op.input.type.shape
    return site.writer.initializer("sizes", np.asarray((batch, channels, *op.size), np.int64))
