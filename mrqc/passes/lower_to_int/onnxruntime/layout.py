"""What moves elements, as on every target."""

from __future__ import annotations

from mrqc.ops import nn
from mrqc.passes.lower_to_int.layout import lower_constant, lower_reshape, lower_transpose
from mrqc.passes.lower_to_int.onnxruntime.rules import ONNXRUNTIME_LOWERINGS

ONNXRUNTIME_LOWERINGS.register(nn.Constant)(lower_constant)
ONNXRUNTIME_LOWERINGS.register(nn.Reshape)(lower_reshape)
ONNXRUNTIME_LOWERINGS.register(nn.Transpose)(lower_transpose)
