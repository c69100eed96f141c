"""Means and sums."""

from __future__ import annotations

from mrqc.backends.tflite.file import Options
from mrqc.backends.tflite.writer import TFLITE_EXPORTS, Site
from mrqc.ir import Op
from mrqc.ops import nn


@TFLITE_EXPORTS.register(nn.Mean, nn.Sum)
def export_reduction(op: Op, site: Site) -> None:
    """``MEAN`` and ``SUM``."""
    assert isinstance(op, nn.Mean | nn.Sum)
    axes = site.writer.integers("axes", op.axes)
    builtin = "MEAN" if isinstance(op, nn.Mean) else "SUM"
    site.finish(builtin, [site.operand(op.input), axes], Options("ReducerOptions", (("KeepDims", op.keep_dims),)))
