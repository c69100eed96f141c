"""Resize: pixels are moved where the nearest is taken, and dequantized, mixed and quantized where two are."""

from __future__ import annotations

import numpy as np

from mrqc.ir.op import Op, Value
from mrqc.numerics.float32 import Single
from mrqc.ops import int as int_ops
from mrqc.ops import nn
from mrqc.ops.int import FloatInterpolation
from mrqc.passes.lower_to_int.onnxruntime.rules import ONNXRUNTIME_LOWERINGS
from mrqc.passes.lower_to_int.onnxruntime.single import dequantized_codes, emit_floats, quantization_of
from mrqc.passes.lower_to_int.resize import lower_resize_nearest
from mrqc.passes.lower_to_int.rules import Site

_HALF = np.float32(0.5)

ONNXRUNTIME_LOWERINGS.register(nn.ResizeNearest)(lower_resize_nearest)


@ONNXRUNTIME_LOWERINGS.register(nn.ResizeBilinear)
def lower_resize_bilinear(op: Op, site: Site) -> Value:
    """There is no kernel on codes: the runtime dequantizes, interpolates in floats and quantizes."""
    assert isinstance(op, nn.ResizeBilinear)
    table = emit_floats(dequantized_codes(op.input), site)
    quantization = quantization_of(op.element)
    rows, columns = (
        _interpolation(size, result, op.coordinates)
        for size, result in zip(op.input.type.shape[1:3], op.size, strict=True)
    )
    scale, limits = float(np.float32(quantization.scale)), site.limits(op.element)
    return site.emit(
        int_ops.TableResizeBilinear(op.input, table, rows, columns, scale, quantization.zero_point, *limits, op.element)
    )


def _interpolation(size: int, result: int, coordinates: nn.Coordinates) -> FloatInterpolation:
    """Return neighbours and weights from places in single precision, which are moved into the image."""
    places = np.clip(_places(size, result, coordinates), np.float32(0), np.float32(size - 1))
    lower = places.astype(np.int64)
    upper = np.minimum(lower + 1, size - 1)
    weight = np.where(lower == upper, _HALF, places - lower.astype(np.float32))
    return FloatInterpolation(tuple(lower.tolist()), tuple(upper.tolist()), tuple(weight.tolist()))


def _places(size: int, result: int, coordinates: nn.Coordinates) -> Single:
    ratio = np.float32(result) / np.float32(size)
    indices = np.arange(result).astype(np.float32)
    match coordinates:
        case nn.Coordinates.ALIGN_CORNERS:
            return indices * np.float32(size - 1) / np.float32(max(result - 1, 1))
        case nn.Coordinates.ASYMMETRIC:
            return indices / ratio
        case _:
            # Of the middle of one row that is all the result, PyTorch and others have different notions.
            is_first = result == 1 and coordinates is nn.Coordinates.PYTORCH_HALF_PIXEL
            return indices if is_first else (indices + _HALF) / ratio - _HALF
