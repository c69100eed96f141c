"""Pools."""

from __future__ import annotations

import math

from mrqc.backends.tflite.file import Options
from mrqc.backends.tflite.windows import padded_input, padding_scheme, window_options
from mrqc.backends.tflite.writer import TFLITE_EXPORTS, Site
from mrqc.errors import RefusalError
from mrqc.ir import Op
from mrqc.ops import nn


@TFLITE_EXPORTS.register(nn.AveragePool2D)
def export_average_pool2d(op: Op, site: Site) -> None:
    """``AVERAGE_POOL_2D``, which keeps the scale; to another one ``MEAN`` over a whole image, else a ``QUANTIZE``."""
    assert isinstance(op, nn.AveragePool2D)
    if op.covers_image and op.element != op.input.type.element:
        _mean(op, site)
        return
    _, height, width, _ = op.input.type.shape
    if op.window.is_padded and op.count_include_pad:
        images, scheme = padded_input(site, op.input, op.window, None, 0.0)
    else:
        found = padding_scheme(op.window, (height, width))
        if found is None:
            raise RefusalError(
                f"an average pool with padding {list(op.padding)} that does not count: TFLite has SAME and VALID only"
            )
        images, scheme = site.operand(op.input), found
    _finish("AVERAGE_POOL_2D", op, images, scheme, site)


def _mean(op: nn.AveragePool2D, site: Site) -> None:
    """Write a mean over height and width, which rounds once to any scale."""
    inputs = [site.operand(op.input), site.writer.integers("axes", (1, 2))]
    options = Options("ReducerOptions", (("KeepDims", True),))
    if op.clamp == nn.UNBOUNDED:
        site.finish("MEAN", inputs, options)
        return
    site.finish_limits(site.step("MEAN", inputs, site.result.type, options), op.clamp, op.element)


@TFLITE_EXPORTS.register(nn.MaxPool2D)
def export_max_pool2d(op: Op, site: Site) -> None:
    """``MAX_POOL_2D``; it keeps the scale, so that another one needs a ``QUANTIZE`` behind it."""
    assert isinstance(op, nn.MaxPool2D)
    _, height, width, _ = op.input.type.shape
    images, scheme = padded_input(site, op.input, op.window, (height, width), -math.inf)
    _finish("MAX_POOL_2D", op, images, scheme, site)


def _finish(builtin: str, op: nn.AveragePool2D | nn.MaxPool2D, images: int, scheme: int, site: Site) -> None:
    height, width = op.kernel
    fields = (*window_options(op.strides, scheme), ("FilterHeight", height), ("FilterWidth", width))
    site.finish_clamped(
        builtin,
        [images],
        op.clamp,
        lambda activation: Options("Pool2DOptions", (*fields, ("FusedActivationFunction", activation))),
        op.input.type.element,
    )
