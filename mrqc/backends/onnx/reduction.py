"""Means and sums."""

from __future__ import annotations

import numpy as np

from mrqc.backends.onnx.site import ONNX_EXPORTS, Site
from mrqc.backends.onnx.writer import Layout
from mrqc.ir import Op
from mrqc.ops import nn

_AXES_AS_OPERAND = 18
"""The first operator set in which the axes of ``ReduceMean`` are no attribute."""


@ONNX_EXPORTS.register(nn.Mean)
def export_mean(op: Op, site: Site) -> None:
    """``ReduceMean`` of the real values."""
    assert isinstance(op, nn.Mean)
    real, keep_dims = site.writer.real(op.input, Layout.LOGICAL), int(op.keep_dims)
    if site.writer.opset < _AXES_AS_OPERAND:
        mean = site.node("ReduceMean", [real], axes=op.axes, keepdims=keep_dims)
    else:
        mean = site.node("ReduceMean", [real, _axes(op, site)], keepdims=keep_dims)
    site.define(mean, Layout.LOGICAL)


@ONNX_EXPORTS.register(nn.Sum)
def export_sum(op: Op, site: Site) -> None:
    """``ReduceSum`` of the real values."""
    assert isinstance(op, nn.Sum)
    real = site.writer.real(op.input, Layout.LOGICAL)
    site.define(site.node("ReduceSum", [real, _axes(op, site)], keepdims=int(op.keep_dims)), Layout.LOGICAL)


def _axes(op: nn.Mean | nn.Sum, site: Site) -> str:
    return site.writer.initializer("axes", np.asarray(op.axes, np.int64))
