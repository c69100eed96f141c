"""ReduceMean, ReduceSum, ArgMax, ArgMin."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from mrqc.frontends.constants import UnsupportedError
from mrqc.frontends.onnx.site import NodeRule, Site
from mrqc.frontends.onnx.tensors import NHWC_SEEN_AS_NCHW, Activation, Tensor
from mrqc.ir.dtype import DType
from mrqc.ir.op import Op, Value
from mrqc.ir.types import Element
from mrqc.ops import nn

_HEIGHT_AND_WIDTH = {2, 3}


def import_reduce_mean(site: Site) -> Tensor:
    """Over constant axes, all of them if none are given."""
    return _reduced(site, nn.Mean)


def import_reduce_sum(site: Site) -> Tensor:
    """Over constant axes, all of them if none are given."""
    return _reduced(site, nn.Sum)


def import_arg_max(site: Site) -> Tensor:
    """Along one axis, on floats or on codes; the first of equals."""
    return _place_of_extreme(site, smallest=False)


def import_arg_min(site: Site) -> Tensor:
    """Along one axis, on floats or on codes; the first of equals."""
    return _place_of_extreme(site, smallest=True)


def _place_of_extreme(site: Site, *, smallest: bool) -> Tensor:
    activation = site.as_activation(site.operand(0))
    if site.integer("select_last_index", 0):
        raise UnsupportedError("select_last_index is not supported", "the first of equals is")
    axis = site.axis(site.integer("axis", 0), len(activation.shape))
    op = nn.ArgMax(activation.value, activation.permutation[axis], True, smallest, Element(DType.I64))
    result = Activation(site.emit(op), activation.permutation)
    if site.integer("keepdims", 1):
        return result
    return site.reshape(result, activation.shape[:axis] + activation.shape[axis + 1 :])


def _reduced(site: Site, make: Callable[[Value, tuple[int, ...], bool], Op]) -> Tensor:
    activation = site.float_operand(0)
    rank = len(activation.shape)
    axes = site.integers(1, "axes") if site.has_operand(1) else site.integer_list("axes")
    if not axes:
        if site.integer("noop_with_empty_axes", 0):
            return activation
        axes = tuple(range(rank))
    kept = {site.axis(axis, rank) for axis in axes}
    if rank == len(NHWC_SEEN_AS_NCHW) and kept == _HEIGHT_AND_WIDTH:
        activation = Activation(site.nhwc(activation), NHWC_SEEN_AS_NCHW)
    along = tuple(sorted(activation.permutation[axis] for axis in kept))
    result = Activation(site.emit(make(activation.value, along, True)), activation.permutation)
    if site.integer("keepdims", 1):
        return result
    return site.reshape(result, tuple(extent for axis, extent in enumerate(result.shape) if axis not in kept))


REDUCTION_RULES: Mapping[str, NodeRule] = {
    "ReduceMean": NodeRule(import_reduce_mean, 2, ("axes", "keepdims", "noop_with_empty_axes")),
    "ReduceSum": NodeRule(import_reduce_sum, 2, ("axes", "keepdims", "noop_with_empty_axes")),
    "ArgMax": NodeRule(import_arg_max, 1, ("axis", "keepdims", "select_last_index")),
    "ArgMin": NodeRule(import_arg_min, 1, ("axis", "keepdims", "select_last_index")),
}
"""Nodes that make one element of many."""
