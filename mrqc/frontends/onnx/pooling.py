"""Pools: MaxPool, AveragePool and their global forms."""

from __future__ import annotations

from collections.abc import Mapping

from mrqc.frontends.constants import UnsupportedError
from mrqc.frontends.onnx.site import NodeRule, Site
from mrqc.frontends.onnx.tensors import NHWC_SEEN_AS_NCHW, Activation, Tensor
from mrqc.frontends.onnx.windows import WINDOW_ATTRIBUTES, read_window
from mrqc.ops import nn
from mrqc.ops.window import Window


def import_average_pool(site: Site) -> Tensor:
    """2-D; ceil_mode only where it makes no difference."""
    image = site.image_operand(0)
    window = pool_window(site, image)
    op = nn.AveragePool2D(
        site.nhwc(image),
        window.kernel,
        window.strides,
        window.padding,
        bool(site.integer("count_include_pad", 0)),
    )
    return Activation(site.emit(op), NHWC_SEEN_AS_NCHW)


def import_max_pool(site: Site) -> Tensor:
    """2-D, on floats or on codes, without indices; ceil_mode only where it makes no difference."""
    image = site.image_operand(0, codes_too=True)
    return _max_pool(site, image, pool_window(site, image))


def import_global_average_pool(site: Site) -> Tensor:
    """2-D."""
    image = site.image_operand(0)
    return Activation(site.emit(nn.AveragePool2D(site.nhwc(image), whole_image(image))), NHWC_SEEN_AS_NCHW)


def import_global_max_pool(site: Site) -> Tensor:
    """2-D."""
    image = site.image_operand(0, codes_too=True)
    return _max_pool(site, image, Window(whole_image(image)))


def _max_pool(site: Site, image: Activation, window: Window) -> Activation:
    value = site.nhwc(image)
    op = nn.MaxPool2D(value, window.kernel, window.strides, window.padding, element=value.type.element)
    return Activation(site.emit(op), NHWC_SEEN_AS_NCHW)


def whole_image(image: Activation) -> tuple[int, int]:
    """Return height and width of an image, for a pool over all of it."""
    _, _, height, width = image.shape
    return (height, width)


def pool_window(site: Site, image: Activation) -> Window:
    """Return the window of a pool over an image."""
    if site.integer_list("kernel_shape") is None:
        raise UnsupportedError("attribute 'kernel_shape' is missing")
    window = read_window(site, site.pair("kernel_shape", (1, 1)), *image.shape[2:])
    if window.dilations != (1, 1):
        raise UnsupportedError(f"dilations {list(window.dilations)} are not supported in pools")
    return window


POOLING_RULES: Mapping[str, NodeRule] = {
    "AveragePool": NodeRule(import_average_pool, 1, (*WINDOW_ATTRIBUTES, "ceil_mode", "count_include_pad")),
    "MaxPool": NodeRule(import_max_pool, 1, (*WINDOW_ATTRIBUTES, "ceil_mode", "storage_order")),
    "GlobalAveragePool": NodeRule(import_global_average_pool, 1),
    "GlobalMaxPool": NodeRule(import_global_max_pool, 1),
}
"""Nodes that summarise windows."""
