"""MEAN and SUM."""

from __future__ import annotations

from collections.abc import Mapping

from mrqc.frontends.tflite.site import Handler, Site, Support
from mrqc.frontends.tflite.tensors import UnsupportedOperatorError
from mrqc.ir.op import Value
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


REDUCTION_RULES: Mapping[str, Support] = {
    "MEAN": Support(_reduction(nn.Mean), (2, 2), "ReducerOptions", ("keep_dims",)),
    "SUM": Support(_reduction(nn.Sum), (2, 2), "ReducerOptions", ("keep_dims",)),
}
"""Operators that reduce along axes."""
