"""SLICE and STRIDED_SLICE."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from mrqc.frontends.constants import Constant, UnsupportedError
from mrqc.frontends.tflite.layout import shape_of
from mrqc.frontends.tflite.site import Site, Support
from mrqc.ir.op import Value
from mrqc.ops import nn

_MASKS = ("begin", "end", "ellipsis", "new_axis", "shrink_axis")
_WHOLE = -1
"""Stands for an entry that takes all of an axis."""


def import_slice(site: Site) -> Value | Constant:
    """At constant places; a size of -1 reaches to the end."""
    tensor = site.operand(0)
    shape = shape_of(tensor)
    begin, size = site.integers(1, "begin"), site.integers(2, "size")
    if not len(begin) == len(size) == len(shape):
        raise UnsupportedError(f"begin and size must have {len(shape)} entries each")
    size = tuple(
        extent - first if count == -1 else count for extent, first, count in zip(shape, begin, size, strict=True)
    )
    return _sliced(site, tensor, begin, size, (1,) * len(shape))


def import_strided_slice(site: Site) -> Value | Constant:
    """At constant places, backwards too; all masks: begin, end, ellipsis, new and shrunk axes."""
    tensor = site.operand(0)
    shape = shape_of(tensor)
    if site.flag("offset"):
        raise UnsupportedError("ends that count from the begin are not supported")
    begins, ends, strides = (site.integers(1 + index, role) for index, role in enumerate(("begin", "end", "strides")))
    if not len(begins) == len(ends) == len(strides) or 0 in strides:
        raise UnsupportedError("begin, end and strides must have an entry for each axis, no stride may be 0")
    masks = {name: site.integer(f"{name}_mask") for name in _MASKS}
    chosen: list[range] = []
    kept: list[int] = []
    for entry in _entries(masks, len(begins), len(shape)):
        bits = {name for name, mask in masks.items() if entry != _WHOLE and mask >> entry & 1}
        if "new_axis" in bits:
            kept.append(1)
            continue
        extent = shape[len(chosen)]
        whole = entry == _WHOLE
        steps = range(extent) if whole else _steps(begins[entry], ends[entry], strides[entry], extent, bits)
        chosen.append(steps)
        if "shrink_axis" not in bits:
            kept.append(len(steps))
    if any(len(steps) == 0 for steps in chosen):
        raise UnsupportedError("a slice without elements is not supported")
    starts, sizes = tuple(steps[0] for steps in chosen), tuple(len(steps) for steps in chosen)
    sliced = _sliced(site, tensor, starts, sizes, tuple(steps.step for steps in chosen))
    return site.reshape(sliced, tuple(kept))


def _entries(masks: Mapping[str, int], number: int, rank: int) -> Iterator[int]:
    """Yield the entries in order, those that the ellipsis or the end leaves out as ``_WHOLE``.

    Raises:
        UnsupportedError: They need more axes than there are, or contradict each other.
    """
    ellipses, new_axes, shrunk = (masks[name] & ((1 << number) - 1) for name in ("ellipsis", "new_axis", "shrink_axis"))
    if ellipses.bit_count() > 1 or ellipses & new_axes or (ellipses | new_axes) & shrunk:
        raise UnsupportedError("the masks of ellipsis, new and shrunk axes contradict each other")
    left_out = rank - (number - ellipses.bit_count() - new_axes.bit_count())
    if left_out < 0:
        raise UnsupportedError(f"begin, end and strides have entries for {rank - left_out} of {rank} axes")
    if ellipses and left_out == 0:
        # The runtime lets it stand for one axis nevertheless.
        raise UnsupportedError("an ellipsis that stands for no axis is not supported")
    for entry in range(number):
        if ellipses >> entry & 1:
            yield from (_WHOLE,) * left_out
        else:
            yield entry
    if not ellipses:
        yield from (_WHOLE,) * left_out


def _sliced(
    site: Site, tensor: Value | Constant, begin: tuple[int, ...], size: tuple[int, ...], strides: tuple[int, ...]
) -> Value | Constant:
    if isinstance(tensor, Constant) and (tensor.element is None or tensor.element.quantization is None):
        places = (first + np.arange(count) * stride for first, count, stride in zip(begin, size, strides, strict=True))
        return Constant(tensor.name, tensor.array[np.ix_(*places)] if begin else tensor.array, tensor.element)
    value = site.emitted(tensor)
    site.check_same_element(value.type.element)
    return site.emit(nn.Slice(value, begin, size, strides))


def _steps(begin: int, end: int, stride: int, extent: int, masks: set[str]) -> range:
    """Return the indices along one axis that a strided slice takes."""
    if "shrink_axis" in masks:
        first = 0 if "begin" in masks else begin + extent if begin < 0 else begin
        return range(first, first + 1) if 0 <= first < extent else range(0)
    # As Python's own slices, in which an absent end is no number.
    bounds = slice(None if "begin" in masks else begin, None if "end" in masks else end, stride)
    return range(*bounds.indices(extent))


SLICING_RULES: Mapping[str, Support] = {
    "SLICE": Support(import_slice, (3, 3), "SliceOptions"),
    "STRIDED_SLICE": Support(
        import_strided_slice, (4, 4), "StridedSliceOptions", (*(f"{name}_mask" for name in _MASKS), "offset")
    ),
}
"""Operators that cut a part out of a tensor."""
