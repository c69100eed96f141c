"""MEAN, SUM, ARG_MAX and ARG_MIN."""

from __future__ import annotations

from collections.abc import Mapping

from mrqc.frontends.tflite.site import Handler, Site, Support
from mrqc.frontends.tflite.tensors import UnsupportedOperatorError
from mrqc.ir.dtype import DType
from mrqc.ir.op import Value
from mrqc.ir.types import Element
from mrqc.ops import nn


def _reduction(kind: type[nn.Mean | nn.Sum]) -> Handler:
    def import_reduction(site: Site) -> Value:
        """Floats or codes, along constant axes."""
        value = site.real_value(0)
        given = site.integers(1, "axes")
        axes = tuple(sorted({site.axis(axis, value.type.rank) for axis in given}))
        if not axes:
            raise UnsupportedOperatorError("there is no axis to reduce")
        return site.emit(kind(value, axes, site.flag("keep_dims"), site.real_element(value)))

    return import_reduction


_INTEGERS = {2: DType.I32, 4: DType.I64}
"""By the schema's numbers of element types."""


def _search(smallest: bool) -> Handler:
    def import_search(site: Site) -> Value:
        """Floats or codes, along a constant axis."""
        value = site.real_value(0)
        axes = site.integers(1, "axis")
        if len(axes) != 1:
            raise UnsupportedOperatorError(f"the axis must be one number, found {list(axes)}")
        axis = site.axis(axes[0], value.type.rank)
        # The runtime goes by the option, whatever the file says about the result.
        dtype = _INTEGERS.get(site.integer("output_type"))
        if dtype is None:
            raise UnsupportedOperatorError("its indices must be of type INT32 or INT64")
        return site.emit(nn.ArgMax(value, axis, False, smallest, Element(dtype)))

    return import_search


REDUCTION_RULES: Mapping[str, Support] = {
    "MEAN": Support(_reduction(nn.Mean), (2, 2), "ReducerOptions", ("keep_dims",)),
    "SUM": Support(_reduction(nn.Sum), (2, 2), "ReducerOptions", ("keep_dims",)),
    "ARG_MAX": Support(_search(smallest=False), (2, 2), "ArgMaxOptions", ("output_type",)),
    "ARG_MIN": Support(_search(smallest=True), (2, 2), "ArgMinOptions", ("output_type",)),
}
"""Operators that reduce along axes."""
