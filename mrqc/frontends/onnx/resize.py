"""Resize and Upsample."""

from __future__ import annotations

import math
from collections.abc import Mapping

from mrqc.frontends.constants import UnsupportedError
from mrqc.frontends.onnx.site import NodeRule, Site
from mrqc.frontends.onnx.tensors import NHWC_SEEN_AS_NCHW, Activation, Tensor
from mrqc.ops import nn
from mrqc.ops.nn.resize import Coordinates, Nearest

_COORDINATES = {
    "asymmetric": Coordinates.ASYMMETRIC,
    "half_pixel": Coordinates.HALF_PIXEL,
    "pytorch_half_pixel": Coordinates.PYTORCH_HALF_PIXEL,
    "align_corners": Coordinates.ALIGN_CORNERS,
}
_NEAREST = {
    "round_prefer_floor": Nearest.PREFER_FLOOR,
    "round_prefer_ceil": Nearest.PREFER_CEIL,
    "floor": Nearest.FLOOR,
    "ceil": Nearest.CEIL,
}


def import_resize(site: Site) -> Tensor:
    """Height and width of images, to a constant size or by factors that give one, nearest or linear."""
    if site.opset < 11:
        return _resized(site, _scaled_size(site, 1), Coordinates.ASYMMETRIC, Nearest.FLOOR)
    mode = site.text("coordinate_transformation_mode", "half_pixel")
    if mode not in _COORDINATES:
        raise UnsupportedError(f"coordinate_transformation_mode {mode!r} is not supported")
    nearest = site.text("nearest_mode", "round_prefer_floor")
    if nearest not in _NEAREST:
        raise UnsupportedError(f"nearest_mode {nearest!r} is unknown")
    for name in ("antialias", "exclude_outside"):
        if site.integer(name, 0):
            raise UnsupportedError(f"{name} is not supported")
    size = _given_size(site) if site.has_operand(3) else _scaled_size(site, 2)
    return _resized(site, size, _COORDINATES[mode], _NEAREST[nearest])


def import_upsample(site: Site) -> Tensor:
    """Of images, by constant factors, nearest or linear."""
    return _resized(site, _scaled_size(site, 1), Coordinates.ASYMMETRIC, Nearest.FLOOR)


def _resized(site: Site, size: tuple[int, int], coordinates: Coordinates, nearest: Nearest) -> Tensor:
    mode = site.text("mode", "nearest")
    image = site.image_operand(0, codes_too=mode == "nearest")
    value = site.nhwc(image)
    if mode == "nearest":
        op = nn.ResizeNearest(value, size, coordinates, nearest, value.type.element)
    elif mode in ("linear", "bilinear"):
        op = nn.ResizeBilinear(value, size, coordinates)
    else:
        raise UnsupportedError(f"mode {mode!r} is not supported", "nearest and linear are")
    return Activation(site.emit(op), NHWC_SEEN_AS_NCHW)


def _axes(site: Site) -> tuple[int, ...]:
    return tuple(site.axis(axis, 4) for axis in site.integer_list("axes") or (0, 1, 2, 3))


def _given_size(site: Site) -> tuple[int, int]:
    if site.text("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise UnsupportedError("keep_aspect_ratio_policy is not supported", "the policy 'stretch' is")
    shape = list(site.operand(0).shape)
    sizes = site.integers(3, "sizes")
    if len(shape) != 4 or len(sizes) != len(_axes(site)):
        raise UnsupportedError(f"sizes {list(sizes)} do not fit shape {shape}")
    for axis, size in zip(_axes(site), sizes, strict=True):
        shape[axis] = size
    return _only_height_and_width(site, shape)


def _scaled_size(site: Site, index: int) -> tuple[int, int]:
    shape = list(site.operand(0).shape)
    scales = [float(scale) for scale in site.plain_array(index, "scales").reshape(-1)]
    if len(shape) != 4 or len(scales) != len(_axes(site)):
        raise UnsupportedError(f"scales {scales} do not fit shape {shape}")
    for axis, scale in zip(_axes(site), scales, strict=True):
        exact = shape[axis] * scale
        if not math.isclose(exact, round(exact), abs_tol=1e-5):
            # Then coordinates follow the scale, and not the ratio of the sizes.
            raise UnsupportedError(f"a scale of {scale} for extent {shape[axis]} does not give a whole number")
        shape[axis] = round(exact)
    return _only_height_and_width(site, shape)


def _only_height_and_width(site: Site, shape: list[int]) -> tuple[int, int]:
    before = site.operand(0).shape
    if tuple(shape[:2]) != before[:2]:
        raise UnsupportedError(f"it resizes {list(before)} to {shape}", "only height and width can change")
    return (shape[2], shape[3])


RESIZE_RULES: Mapping[str, NodeRule] = {
    "Resize": NodeRule(
        import_resize,
        4,
        (
            "antialias",
            "axes",
            "coordinate_transformation_mode",
            "cubic_coeff_a",
            "exclude_outside",
            "extrapolation_value",
            "keep_aspect_ratio_policy",
            "mode",
            "nearest_mode",
        ),
    ),
    "Upsample": NodeRule(import_upsample, 2, ("mode",)),
}
"""Nodes that change the size of images."""
