"""What moves elements, as on every target."""

from __future__ import annotations

from mrqc.ops import nn
from mrqc.passes.lower_to_int.layout import (
    lower_constant,
    lower_mirror_pad,
    lower_pad,
    lower_reshape,
    lower_slice,
    lower_take,
    lower_transpose,
)
from mrqc.passes.lower_to_int.onnxruntime.rules import ONNXRUNTIME_LOWERINGS
from mrqc.passes.lower_to_int.reduction import lower_arg_max
from mrqc.passes.lower_to_int.resize import lower_resize_nearest

ONNXRUNTIME_LOWERINGS.register(nn.Constant)(lower_constant)
ONNXRUNTIME_LOWERINGS.register(nn.Reshape)(lower_reshape)
ONNXRUNTIME_LOWERINGS.register(nn.Transpose)(lower_transpose)
ONNXRUNTIME_LOWERINGS.register(nn.Slice)(lower_slice)
ONNXRUNTIME_LOWERINGS.register(nn.Take)(lower_take)
ONNXRUNTIME_LOWERINGS.register(nn.Pad)(lower_pad)
ONNXRUNTIME_LOWERINGS.register(nn.MirrorPad)(lower_mirror_pad)
ONNXRUNTIME_LOWERINGS.register(nn.ArgMax)(lower_arg_max)
ONNXRUNTIME_LOWERINGS.register(nn.ResizeNearest)(lower_resize_nearest)
