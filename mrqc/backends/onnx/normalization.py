"""Batch normalization."""

from __future__ import annotations

from mrqc.backends.onnx.site import ONNX_EXPORTS, Site
from mrqc.backends.onnx.writer import Layout
from mrqc.ir import Op
from mrqc.ops import nn


@ONNX_EXPORTS.register(nn.BatchNormalization)
def export_batch_normalization(op: Op, site: Site) -> None:
    """``BatchNormalization``, behind a ``Transpose`` where the channels of something else than an image are last."""
    assert isinstance(op, nn.BatchNormalization)
    rank, writer = op.input.type.rank, site.writer
    layout = Layout.CHANNELS_FIRST if rank == 4 else Layout.LOGICAL
    name = writer.real(op.input, layout)
    is_moved = rank not in (2, 4)
    if is_moved:
        name = site.node("Transpose", [name], perm=(0, rank - 1, *range(1, rank - 1)))
    parameters = [writer.real(value, Layout.LOGICAL) for value in (op.scale, op.bias, op.mean, op.variance)]
    name = site.node("BatchNormalization", [name, *parameters], epsilon=op.epsilon)
    if is_moved:
        name = site.node("Transpose", [name], perm=(0, *range(2, rank), 1))
    site.define(name, layout)
