"""Means and sums."""

from __future__ import annotations

import numpy as np

from mrqc.backends.onnx.site import ONNX_EXPORTS, Site
from mrqc.backends.onnx.writer import Layout
from mrqc.errors import RefusalError
from mrqc.ir import DType, Op
from mrqc.ops import nn


@ONNX_EXPORTS.register(nn.Mean)
def export_mean(op: Op, site: Site) -> None:
    """``ReduceMean`` of the real values."""
    assert isinstance(op, nn.Mean)
    if DType.I16 in (op.input.type.dtype, op.element.dtype):
        # 16-bit codes need a version of the operator set in which the axes are an operand.
        raise RefusalError("a mean of 16-bit codes")
    real = site.writer.real(op.input, Layout.LOGICAL)
    site.define(site.node("ReduceMean", [real], axes=op.axes, keepdims=int(op.keep_dims)), Layout.LOGICAL)


@ONNX_EXPORTS.register(nn.Sum)
def export_sum(op: Op, site: Site) -> None:
    """``ReduceSum`` of the real values."""
    assert isinstance(op, nn.Sum)
    real = site.writer.real(op.input, Layout.LOGICAL)
    axes = site.writer.initializer("axes", np.asarray(op.axes, np.int64))
    site.define(site.node("ReduceSum", [real, axes], keepdims=int(op.keep_dims)), Layout.LOGICAL)
