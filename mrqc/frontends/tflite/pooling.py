"""AVERAGE_POOL_2D and MAX_POOL_2D."""

from __future__ import annotations

from collections.abc import Mapping

from mrqc.frontends.tflite.site import Site, Support
from mrqc.frontends.tflite.windows import FUSED, WINDOW_OPTIONS, fused_clamp, read_window
from mrqc.ir.op import Value
from mrqc.ops import nn
from mrqc.ops.window import Window

_POOL_OPTIONS = (*WINDOW_OPTIONS, "filter_height", "filter_width", FUSED)


def import_average_pool_2d(site: Site) -> Value:
    """Floats or codes, any window and strides; padding does not count; a clamp as fused activation."""
    image, window = site.image(0), _pool_window(site)
    op = nn.AveragePool2D(
        image,
        window.kernel,
        window.strides,
        window.padding,
        clamp=fused_clamp(site),
        element=site.real_element(image),
    )
    return site.emit(op)


def import_max_pool_2d(site: Site) -> Value:
    """Floats or codes, any window and strides; a clamp as fused activation."""
    image, window = site.image(0), _pool_window(site)
    op = nn.MaxPool2D(image, window.kernel, window.strides, window.padding, fused_clamp(site), site.real_element(image))
    return site.emit(op)


def _pool_window(site: Site) -> Window:
    _, height, width, _ = site.image(0).type.shape
    return read_window(site, (site.integer("filter_height"), site.integer("filter_width")), height, width)


POOLING_RULES: Mapping[str, Support] = {
    "AVERAGE_POOL_2D": Support(import_average_pool_2d, (1, 1), "Pool2DOptions", _POOL_OPTIONS),
    "MAX_POOL_2D": Support(import_max_pool_2d, (1, 1), "Pool2DOptions", _POOL_OPTIONS),
}
"""Operators that summarise windows."""
