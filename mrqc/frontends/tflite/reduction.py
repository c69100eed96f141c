"""MEAN, SUM, REDUCE_MAX, REDUCE_MIN, ARG_MAX and ARG_MIN."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from mrqc.frontends.constants import UnsupportedError
from mrqc.frontends.tflite.site import Handler, Site, Support
from mrqc.ir.dtype import DType
from mrqc.ir.op import Value
from mrqc.ir.types import Element
from mrqc.ops import nn


def _reduction(kind: type[nn.Mean | nn.Sum]) -> Handler:
    def import_reduction(site: Site) -> Value:
        """Floats or codes, along constant axes."""
        value = site.real_value(0)
        return site.emit(kind(value, _axes(site, value), site.flag("keep_dims"), site.real_element(value)))

    return import_reduction


def _axes(site: Site, value: Value) -> tuple[int, ...]:
    axes = tuple(sorted({site.axis(axis, value.type.rank) for axis in site.integers(1, "axes")}))
    if not axes:
        raise UnsupportedError("there is no axis to reduce")
    return axes


def import_reduce_max(site: Site) -> Value:
    """Floats or codes, along constant axes."""
    value = site.real_value(0)
    site.check_same_element(value.type.element)
    axes, shape = _axes(site, value), value.type.shape
    for first, last in _runs(axes):
        # The greatest of a window that is as large as the image: height and width, or what is one axis for it.
        image = shape if (first, last, len(shape)) == (1, 2, 4) else _as_image(value.type.shape, first, last)
        window = (image[1], image[2])
        pooled = site.emit(nn.MaxPool2D(site.emitted(site.reshape(value, image)), window, element=value.type.element))
        kept = tuple(1 if first <= axis <= last else extent for axis, extent in enumerate(value.type.shape))
        value = site.emitted(site.reshape(pooled, kept))
    return _without(site, value, axes)


def import_reduce_min(site: Site) -> Value:
    """Floats or codes, along constant axes."""
    value = site.real_value(0)
    site.check_same_element(value.type.element)
    axes = _axes(site, value)
    for axis in axes:
        while value.type.shape[axis] > 1:
            # The lesser of both halves, which share the middle of an odd number.
            extent = value.type.shape[axis]
            size = (extent + 1) // 2
            halves = [_part(site, value, axis, begin, size) for begin in (0, extent - size)]
            value = site.emit(nn.Minimum(halves[0], halves[1], value.type.element))
    return _without(site, value, axes)


def _runs(axes: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    """Yield the first and the last of axes that follow each other."""
    first = axes[0]
    for axis, following in zip(axes, (*axes[1:], -1), strict=True):
        if following != axis + 1:
            yield first, axis
            first = following


def _as_image(shape: tuple[int, ...], first: int, last: int) -> tuple[int, int, int, int]:
    """Return the shape as an image whose height is the axes from ``first`` to ``last``."""
    return math.prod(shape[:first]), math.prod(shape[first : last + 1]), 1, math.prod(shape[last + 1 :])


def _part(site: Site, value: Value, axis: int, begin: int, size: int) -> Value:
    rank = value.type.rank
    place = tuple(begin if each == axis else 0 for each in range(rank))
    extents = tuple(size if each == axis else extent for each, extent in enumerate(value.type.shape))
    return site.emit(nn.Slice(value, place, extents, (1,) * rank))


def _without(site: Site, value: Value, axes: tuple[int, ...]) -> Value:
    """Return a value without the axes that are reduced, unless the operator keeps them."""
    if site.flag("keep_dims"):
        return value
    shape = tuple(extent for axis, extent in enumerate(value.type.shape) if axis not in axes)
    return site.emitted(site.reshape(value, shape))


_INTEGERS = {2: DType.I32, 4: DType.I64}
"""By the schema's numbers of element types."""


def _search(smallest: bool) -> Handler:
    def import_search(site: Site) -> Value:
        """Floats or codes, along a constant axis."""
        value = site.real_value(0)
        axes = site.integers(1, "axis")
        if len(axes) != 1:
            raise UnsupportedError(f"the axis must be one number, found {list(axes)}")
        axis = site.axis(axes[0], value.type.rank)
        # The runtime goes by the option, whatever the file says about the result.
        dtype = _INTEGERS.get(site.integer("output_type"))
        if dtype is None:
            raise UnsupportedError("its indices must be of type INT32 or INT64")
        return site.emit(nn.ArgMax(value, axis, False, smallest, Element(dtype)))

    return import_search


REDUCTION_RULES: Mapping[str, Support] = {
    "MEAN": Support(_reduction(nn.Mean), (2, 2), "ReducerOptions", ("keep_dims",)),
    "SUM": Support(_reduction(nn.Sum), (2, 2), "ReducerOptions", ("keep_dims",)),
    "REDUCE_MAX": Support(import_reduce_max, (2, 2), "ReducerOptions", ("keep_dims",)),
    "REDUCE_MIN": Support(import_reduce_min, (2, 2), "ReducerOptions", ("keep_dims",)),
    "ARG_MAX": Support(_search(smallest=False), (2, 2), "ArgMaxOptions", ("output_type",)),
    "ARG_MIN": Support(_search(smallest=True), (2, 2), "ArgMinOptions", ("output_type",)),
}
"""Operators that reduce along axes."""
