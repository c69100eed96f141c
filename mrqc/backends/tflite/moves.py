"""Pads, slices, choices, concatenations, searches and changes of size."""

from __future__ import annotations

import numpy as np

from mrqc.backends.tflite.file import Options
from mrqc.backends.tflite.writer import TFLITE_EXPORTS, Site
from mrqc.errors import RefusalError
from mrqc.ir import Data, DType, Op, TensorType
from mrqc.ops import nn

_NEAREST = {
    nn.Coordinates.ASYMMETRIC: nn.Nearest.FLOOR,
    nn.Coordinates.HALF_PIXEL: nn.Nearest.PREFER_CEIL,
    nn.Coordinates.ALIGN_CORNERS: nn.Nearest.PREFER_CEIL,
}
"""How the runtime rounds to the nearest pixel."""


@TFLITE_EXPORTS.register(nn.Pad)
def export_pad(op: Op, site: Site) -> None:
    """``PAD`` with zeros, ``PADV2`` with another value."""
    assert isinstance(op, nn.Pad)
    inputs = [site.operand(op.input), _amounts(op.padding, site)]
    if op.value == 0.0:
        site.finish("PAD", inputs, Options("PadOptions"))
        return
    element = op.input.type.element
    real = np.asarray([op.value], np.float64)
    if element.quantization is None:
        data = Data(real.astype(np.float32))
    else:
        data = Data.of(element.quantization.quantize(real, element.dtype.minimum, element.dtype.maximum), element.dtype)
    site.finish("PADV2", [*inputs, site.writer.constant("value", data, element)], Options("PadV2Options"))


@TFLITE_EXPORTS.register(nn.MirrorPad)
def export_mirror_pad(op: Op, site: Site) -> None:
    """``MIRROR_PAD``."""
    assert isinstance(op, nn.MirrorPad)
    options = Options("MirrorPadOptions", (("Mode", int(op.mode is nn.Mirror.SYMMETRIC)),))
    site.finish("MIRROR_PAD", [site.operand(op.input), _amounts(op.padding, site)], options)


@TFLITE_EXPORTS.register(nn.Concat)
def export_concat(op: Op, site: Site) -> None:
    """``CONCATENATION``, behind a ``QUANTIZE`` where an input has another scale and the kernel does not change it."""
    assert isinstance(op, nn.Concat)
    inputs = [
        site.operand(value) if value.type.dtype is op.element.dtype is DType.U8 else site.at(value, op.element)
        for value in op.inputs
    ]
    site.finish("CONCATENATION", inputs, Options("ConcatenationOptions", (("Axis", op.axis),)))


@TFLITE_EXPORTS.register(nn.Slice)
def export_slice(op: Op, site: Site) -> None:
    """``STRIDED_SLICE``; masks stand for ends beyond the first element."""
    assert isinstance(op, nn.Slice)
    ends = [begin + size * stride for begin, size, stride in zip(op.begin, op.size, op.strides, strict=True)]
    mask = sum(1 << axis for axis, end in enumerate(ends) if end < 0)
    names = (("begin", op.begin), ("end", tuple(ends)), ("strides", op.strides))
    inputs = [site.operand(op.input), *(site.writer.integers(name, numbers) for name, numbers in names)]
    site.finish("STRIDED_SLICE", inputs, Options("StridedSliceOptions", (("EndMask", mask),)))


@TFLITE_EXPORTS.register(nn.Take)
def export_take(op: Op, site: Site) -> None:
    """``GATHER``."""
    assert isinstance(op, nn.Take)
    inputs = [site.operand(op.input), site.writer.integers("indices", op.indices)]
    site.finish("GATHER", inputs, Options("GatherOptions", (("Axis", op.axis),)))


@TFLITE_EXPORTS.register(nn.ArgMax)
def export_arg_max(op: Op, site: Site) -> None:
    """``ARG_MAX`` and ``ARG_MIN``."""
    assert isinstance(op, nn.ArgMax)
    if op.keep_dims:
        raise RefusalError("a search that keeps its axis", "reshape behind it")
    # The numbers of INT32 and INT64 in the schema.
    output_type = 2 if op.element.dtype.bytes == 4 else 4
    name = "ArgMin" if op.smallest else "ArgMax"
    inputs = [site.operand(op.input), site.writer.integers("axis", (op.axis,))]
    site.finish(
        "ARG_MIN" if op.smallest else "ARG_MAX", inputs, Options(f"{name}Options", (("OutputType", output_type),))
    )


@TFLITE_EXPORTS.register(nn.ResizeBilinear)
def export_resize_bilinear(op: Op, site: Site) -> None:
    """``RESIZE_BILINEAR``; it keeps the scale, so that another one needs a ``QUANTIZE`` behind it."""
    assert isinstance(op, nn.ResizeBilinear)
    coordinates = op.coordinates
    if coordinates is nn.Coordinates.PYTORCH_HALF_PIXEL and min(op.size) > 1:
        coordinates = nn.Coordinates.HALF_PIXEL
    if coordinates not in _NEAREST:
        raise RefusalError(f"TFLite has no bilinear interpolation with coordinates {op.coordinates}")
    _resize("RESIZE_BILINEAR", "ResizeBilinearOptions", op, coordinates, site)


@TFLITE_EXPORTS.register(nn.ResizeNearest)
def export_resize_nearest(op: Op, site: Site) -> None:
    """``RESIZE_NEAREST_NEIGHBOR``, or ``GATHER`` along both axes where it chooses other pixels."""
    assert isinstance(op, nn.ResizeNearest)
    if _NEAREST.get(op.coordinates) is op.rounding:
        _resize("RESIZE_NEAREST_NEIGHBOR", "ResizeNearestNeighborOptions", op, op.coordinates, site)
        return
    batch, _, width, channels = op.input.type.shape
    element = op.input.type.element
    rows, columns = (site.writer.integers("indices", op.indices(axis)) for axis in (0, 1))
    type_ = TensorType((batch, op.size[0], width, channels), element)
    chosen = site.step("GATHER", [site.operand(op.input), rows], type_, Options("GatherOptions", (("Axis", 1),)))
    site.finish_at(element, "GATHER", [chosen, columns], Options("GatherOptions", (("Axis", 2),)))


def _resize(
    builtin: str, options: str, op: nn.ResizeBilinear | nn.ResizeNearest, coordinates: nn.Coordinates, site: Site
) -> None:
    """Write a change of size, and behind it one of the scale where there is any."""
    fields = (
        ("AlignCorners", coordinates is nn.Coordinates.ALIGN_CORNERS),
        ("HalfPixelCenters", coordinates is nn.Coordinates.HALF_PIXEL),
    )
    inputs = [site.operand(op.input), site.writer.integers("size", op.size)]
    site.finish_at(op.input.type.element, builtin, inputs, Options(options, fields))


def _amounts(padding: tuple[int, ...], site: Site) -> int:
    return site.writer.integers("padding", np.asarray(padding, np.int32).reshape(-1, 2))
