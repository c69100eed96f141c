"""RESIZE_BILINEAR and RESIZE_NEAREST_NEIGHBOR."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mrqc.errors import RefusalError
from mrqc.ir.dtype import DType
from mrqc.ir.op import Op, Value
from mrqc.numerics import Rounding
from mrqc.ops import int as int_ops
from mrqc.ops import nn
from mrqc.ops.int import FloatInterpolation, Interpolation
from mrqc.passes.lower_to_int.resize import taken
from mrqc.passes.lower_to_int.rules import Site, per_tensor
from mrqc.passes.lower_to_int.tflite.rules import TFLITE_LOWERINGS

_BITS = 10
"""Of the weights of signed codes."""

_EXACT_BITS = 8
"""A code of 8 bits times two weights of so many bits is exact in single precision, and so is the sum of four."""

_BEYOND = "the runtime reads beyond the {} pixels of the image"
_HALF = np.float32(0.5)
_RUN_AS = {nn.Coordinates.ASYMMETRIC, nn.Coordinates.HALF_PIXEL, nn.Coordinates.ALIGN_CORNERS}


@TFLITE_LOWERINGS.register(nn.ResizeBilinear)
def lower_resize_bilinear(op: Op, site: Site) -> Value:
    """Weights of 10 bits for signed codes; for unsigned ones single precision for unsigned ones."""
    assert isinstance(op, nn.ResizeBilinear)
    element = op.input.type.element
    per_tensor(op.input)
    if op.element != element or op.coordinates not in _RUN_AS:
        raise RefusalError("the runtime has no such change of size", "keep the scale, and its own coordinates")
    sizes = list(zip(op.input.type.shape[1:3], op.size, strict=True))
    if element.dtype is DType.U8:
        rows, columns = (_single_weights(size, result, op.coordinates) for size, result in sizes)
        return _unsigned(op.input, rows, columns, site)
    rows, columns = (_integer_weights(size, result, op.coordinates) for size, result in sizes)
    return site.emit(int_ops.ResizeBilinear(op.input, rows, columns, _BITS, Rounding.HALF_AWAY))


def _unsigned(value: Value, rows: FloatInterpolation, columns: FloatInterpolation, site: Site) -> Value:
    """Return an interpolation in integers where single precision would not round either, else in single precision."""
    exact = (_exact_weights(rows, _is_whole(columns)), _exact_weights(columns, _is_whole(rows)))
    if exact[0] is None or exact[1] is None:
        return site.emit(int_ops.FloatResizeBilinear(value, rows, columns))
    return site.emit(int_ops.ResizeBilinear(value, exact[0], exact[1], _EXACT_BITS, Rounding.HALF_AWAY))


@TFLITE_LOWERINGS.register(nn.ResizeNearest)
def lower_resize_nearest(op: Op, site: Site) -> Value:
    """Places are worked out in single precision."""
    assert isinstance(op, nn.ResizeNearest)
    expected = nn.Nearest.FLOOR if op.coordinates is nn.Coordinates.ASYMMETRIC else nn.Nearest.PREFER_CEIL
    if op.coordinates not in _RUN_AS or op.rounding is not expected:
        raise RefusalError(f"the runtime does not resize to the nearest pixel by {op.coordinates}, {op.rounding}")
    rows, columns = (
        _nearest(size, result, op.coordinates) for size, result in zip(op.input.type.shape[1:3], op.size, strict=True)
    )
    return taken(op, rows, columns, site)


def _integer_weights(size: int, result: int, coordinates: nn.Coordinates) -> Interpolation:
    """Return neighbours and weights from places in units of 2^-10 of a pixel."""
    one = 1 << _BITS
    ratio = (one * size + result // 2) // result
    if coordinates is nn.Coordinates.ALIGN_CORNERS and result > 1:
        ratio = (one * (size - 1) + (result - 1) // 2) // (result - 1)
    places = np.arange(result, dtype=np.int64) * ratio
    if coordinates is nn.Coordinates.HALF_PIXEL:
        places += ratio // 2 - one // 2
    # Places before the image are negative only above -1: a division that cuts off gives 0, as a floor raised to 0 does.
    lower = np.maximum(places // one, 0)
    upper = np.minimum((places + one - 1) // one, size - 1)
    return _interpolation(lower, upper, places - one * lower, size)


def _single_weights(size: int, result: int, coordinates: nn.Coordinates) -> FloatInterpolation:
    """Return neighbours and weights from places in single precision."""
    ratio = np.float32(size) / np.float32(result)
    if coordinates is nn.Coordinates.ALIGN_CORNERS and result > 1:
        ratio = np.float32(size - 1) / np.float32(result - 1)
    places = np.arange(result).astype(np.float32)
    places = (places + _HALF) * ratio - _HALF if coordinates is nn.Coordinates.HALF_PIXEL else places * ratio
    lower = np.maximum(np.floor(places), 0).astype(np.int64)
    upper = np.minimum(np.ceil(places), size - 1).astype(np.int64)
    if lower.max() >= size:
        raise RefusalError(_BEYOND.format(size))
    weight = places - lower.astype(np.float32)
    return FloatInterpolation(tuple(lower.tolist()), tuple(upper.tolist()), tuple(weight.tolist()))


def _exact_weights(between: FloatInterpolation, is_other_whole: bool) -> Interpolation | None:
    """Return the weights in units of 2^-8, or None where one is no multiple of that."""
    weight = np.asarray(between.weight) * (1 << _EXACT_BITS)
    # Between a pixel and itself weights cancel out, but for a trace, which tells where the other axis makes a tie.
    is_same = np.equal(between.lower, between.upper)
    is_exact = (weight == np.rint(weight)) | (is_same & is_other_whole)
    if not is_exact.all():
        return None
    units = np.where(is_same, 0, np.rint(weight))
    return Interpolation(between.lower, between.upper, tuple(int(number) for number in units))


def _is_whole(between: FloatInterpolation) -> bool:
    """Whether every place is a pixel."""
    return all(
        weight == 0.0 or lower == upper
        for lower, upper, weight in zip(between.lower, between.upper, between.weight, strict=True)
    )


def _interpolation(
    lower: NDArray[np.int64], upper: NDArray[np.int64], weight: NDArray[np.int64], size: int
) -> Interpolation:
    if lower.max() >= size:
        raise RefusalError(_BEYOND.format(size))
    # Between a pixel and itself any weights will do.
    weight = np.where(lower == upper, 0, weight)
    return Interpolation(tuple(lower.tolist()), tuple(upper.tolist()), tuple(weight.tolist()))


def _nearest(size: int, result: int, coordinates: nn.Coordinates) -> tuple[int, ...]:
    aligned = coordinates is nn.Coordinates.ALIGN_CORNERS
    ratio = np.float32(size) / np.float32(result)
    if aligned and result > 1:
        ratio = np.float32(size - 1) / np.float32(result - 1)
    offset = _HALF if coordinates is nn.Coordinates.HALF_PIXEL else np.float32(0)
    places = (np.arange(result).astype(np.float32) + offset) * ratio
    chosen = np.floor(places + _HALF) if aligned else np.floor(places)
    return tuple(np.clip(chosen, 0, size - 1).astype(np.int64).tolist())
