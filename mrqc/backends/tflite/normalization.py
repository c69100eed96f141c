"""Batch normalization, which TFLite does not have."""

from __future__ import annotations

from mrqc.backends.tflite.writer import TFLITE_EXPORTS, Site
from mrqc.errors import RefusalError
from mrqc.ir import Op
from mrqc.ops import nn


@TFLITE_EXPORTS.register(nn.BatchNormalization)
def refuse_batch_normalization(op: Op, site: Site) -> None:
    """Refuse: TFLite has none; what can be part of another layer is so by now."""
    del site
    raise RefusalError(
        f"{op.mnemonic}: TFLite has no such operator, and its parameters are computed or too large",
        "the pass 'fold-batch-normalization' takes constant parameters into the layer before it",
    )
