"""Changes of size."""

from __future__ import annotations

from collections.abc import Mapping

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
    """``Resize`` of what is stored."""
    assert isinstance(op, nn.ResizeNearest)
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


def _sizes(op: nn.ResizeBilinear | nn.ResizeNearest, site: Site) -> str:
    """Return the extents of the result as ONNX orders them."""
    batch, _, _, channels = op.input.type.shape
    return site.writer.initializer("sizes", np.asarray((batch, channels, *op.size), np.int64))
