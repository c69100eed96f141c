"""RESIZE_BILINEAR and RESIZE_NEAREST_NEIGHBOR."""

from __future__ import annotations

from collections.abc import Mapping

from mrqc.frontends.constants import UnsupportedError
from mrqc.frontends.tflite.site import Site, Support
from mrqc.ir.op import Value
from mrqc.ops import nn

_OPTIONS = ("align_corners", "half_pixel_centers")


def import_resize_bilinear(site: Site) -> Value:
    """Floats or codes, to a constant size; corners aligned, half-pixel centers, or neither."""
    image = site.image(0)
    return site.emit(nn.ResizeBilinear(image, _size(site), _coordinates(site), site.real_element(image)))


def import_resize_nearest(site: Site) -> Value:
    """Floats or codes, to a constant size; corners aligned, half-pixel centers, or neither."""
    image, coordinates = site.image(0), _coordinates(site)
    rounding = nn.Nearest.FLOOR if coordinates is nn.Coordinates.ASYMMETRIC else nn.Nearest.PREFER_CEIL
    return site.emit(nn.ResizeNearest(image, _size(site), coordinates, rounding, site.real_element(image)))


def _size(site: Site) -> tuple[int, int]:
    size = site.integers(1, "size")
    if len(size) != 2:
        raise UnsupportedError(f"the size must be height and width, found {list(size)}")
    return size[0], size[1]


def _coordinates(site: Site) -> nn.Coordinates:
    aligned, half_pixel = (site.flag(option) for option in _OPTIONS)
    if aligned and half_pixel:
        raise UnsupportedError("align_corners and half_pixel_centers at once are not supported")
    if aligned:
        return nn.Coordinates.ALIGN_CORNERS
    return nn.Coordinates.HALF_PIXEL if half_pixel else nn.Coordinates.ASYMMETRIC


RESIZE_RULES: Mapping[str, Support] = {
    "RESIZE_BILINEAR": Support(import_resize_bilinear, (2, 2), "ResizeBilinearOptions", _OPTIONS),
    "RESIZE_NEAREST_NEIGHBOR": Support(import_resize_nearest, (2, 2), "ResizeNearestNeighborOptions", _OPTIONS),
}
"""Operators that change the size of images."""
