"""Relu, Clip, Softmax."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from mrqc.frontends.onnx.site import NodeRule, Site
from mrqc.frontends.onnx.tensors import Activation, Tensor, UnsupportedNodeError
from mrqc.ir.types import FLOAT, Element
from mrqc.ops import nn

_SINGLE_PRECISION_LIMIT = float(np.finfo(np.float32).max)


def import_relu(site: Site) -> Tensor:
    """On floats."""
    return _clip(site, (0.0, math.inf))


def import_clip(site: Site) -> Tensor:
    """On floats, with constant bounds, either of which may be absent."""
    if site.opset < 11:
        if site.node.inputs[1:]:
            raise UnsupportedNodeError("before opset 11 the bounds are attributes, not inputs")
        return _clip(site, (_bound(site.number("min", -math.inf)), _bound(site.number("max", math.inf))))
    if site.node.attributes:
        raise UnsupportedNodeError("since opset 11 the bounds are inputs, not attributes")
    low = _bound_operand(site, 1, "lower bound") if site.has_operand(1) else -math.inf
    high = _bound_operand(site, 2, "upper bound") if site.has_operand(2) else math.inf
    return _clip(site, (low, high))


def import_softmax(site: Site) -> Tensor:
    """Along any axis; before opset 13 along all axes from the given one on."""
    return softmax_of(site, site.float_operand(0), site.opset, FLOAT)


def softmax_of(site: Site, activation: Activation, opset: int, element: Element) -> Tensor:
    """Emit a softmax as an operator set defines it: along one axis, before 13 over all axes from one on."""
    rank = len(activation.shape)
    if rank == 0:
        raise UnsupportedNodeError("its operand has no axes")
    axis = site.axis(site.integer("axis", -1 if opset >= 13 else 1), rank, first_beyond=opset < 13)
    if opset < 13 and axis != rank - 1:
        rows = (math.prod(activation.shape[:axis]), math.prod(activation.shape[axis:]))
        flat = site.emitter.reshape(activation, rows, site.location)
        return site.reshape(Activation.plain(site.emit(nn.Softmax(flat, element=element))), activation.shape)
    # The axis goes last, and back again.
    order = (*(other for other in range(rank) if other != axis), axis)
    moved = activation.transposed(order)
    if moved.permutation[-1] != rank - 1:
        moved = Activation.plain(site.logical(moved))
    result = Activation(site.emit(nn.Softmax(moved.value, element=element)), moved.permutation)
    return result.transposed(tuple(order.index(other) for other in range(rank)))


def _clip(site: Site, clamp: tuple[float, float]) -> Tensor:
    activation = site.float_operand(0)
    return Activation(site.emit(nn.Clip(activation.value, clamp)), activation.permutation)


def _bound_operand(site: Site, index: int, role: str) -> float:
    array = site.plain_array(index, role)
    if array.size != 1:
        raise UnsupportedNodeError(f"the {role} must be one number, found shape {list(array.shape)}")
    return _bound(float(array.reshape(-1)[0]))


def _bound(bound: float) -> float:
    """Return an infinite bound for the largest float, which exporters write for "none"."""
    return math.copysign(math.inf, bound) if abs(bound) >= _SINGLE_PRECISION_LIMIT else bound


ACTIVATION_RULES: Mapping[str, NodeRule] = {
    "Relu": NodeRule(import_relu, 1),
    "Clip": NodeRule(import_clip, 3, ("min", "max")),
    "Softmax": NodeRule(import_softmax, 1, ("axis",)),
}
"""Nodes that apply a function to one tensor."""
