"""Relu, Clip, Softmax and other functions of one tensor."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from mrqc.frontends.constants import Constant, UnsupportedError
from mrqc.frontends.onnx.site import NodeRule, Site
from mrqc.frontends.onnx.tensors import Activation, Tensor
from mrqc.ir.op import Op, Value
from mrqc.ir.types import FLOAT, Element
from mrqc.ops import nn

_SINGLE_PRECISION_LIMIT = float(np.finfo(np.float32).max)


def import_relu(site: Site) -> Tensor:
    """On floats."""
    return _clip(site, (0.0, math.inf))


def import_clip(site: Site) -> Tensor:
    """On floats or on codes, with constant bounds, either of which may be absent."""
    if site.opset < 11:
        if site.node.inputs[1:]:
            raise UnsupportedError("before opset 11 the bounds are attributes, not inputs")
        return _clip(site, (_bound(site.number("min", -math.inf)), _bound(site.number("max", math.inf))))
    if site.node.attributes:
        raise UnsupportedError("since opset 11 the bounds are inputs, not attributes")
    low = _bound_operand(site, 1, "lower bound") if site.has_operand(1) else -math.inf
    high = _bound_operand(site, 2, "upper bound") if site.has_operand(2) else math.inf
    # The greatest wins where the bounds cross.
    low = min(low, high)
    tensor = site.operand(0)
    if isinstance(tensor, Constant) and tensor.element is None:
        return Constant(tensor.name, np.clip(tensor.array, low, high).astype(tensor.array.dtype))
    if isinstance(tensor, Activation) and tensor.value.type.dtype.is_integer:
        return _clip_codes(site, tensor, (low, high))
    return _clip(site, (low, high))


def import_softmax(site: Site) -> Tensor:
    """Along any axis; before opset 13 along all axes from the given one on."""
    return softmax_of(site, site.float_operand(0), site.opset, FLOAT)


def import_leaky_relu(site: Site) -> Tensor:
    """On floats."""
    alpha = site.number("alpha", 0.01)
    return _applied(site, lambda value: nn.LeakyRelu(value, alpha))


def import_elu(site: Site) -> Tensor:
    """On floats."""
    alpha = site.number("alpha", 1.0)
    return _applied(site, lambda value: nn.Elu(value, alpha))


def import_sigmoid(site: Site) -> Tensor:
    """On floats."""
    return _applied(site, nn.Sigmoid)


def import_tanh(site: Site) -> Tensor:
    """On floats."""
    return _applied(site, nn.Tanh)


def import_abs(site: Site) -> Tensor:
    """On floats."""
    return _applied(site, nn.Abs)


def import_exp(site: Site) -> Tensor:
    """On floats."""
    return _applied(site, nn.Exp)


def import_log(site: Site) -> Tensor:
    """On floats that are positive."""
    return _applied(site, nn.Log)


def import_sqrt(site: Site) -> Tensor:
    """On floats that are not negative."""
    return _applied(site, nn.Sqrt)


def import_gelu(site: Site) -> Tensor:
    """On floats, exact or by a hyperbolic tangent."""
    approximate = site.text("approximate", "none")
    if approximate not in ("none", "tanh"):
        raise UnsupportedError(f"approximate {approximate!r} is unknown", "none and tanh are supported")
    return _applied(site, lambda value: nn.Gelu(value, approximate == "tanh"))


def import_hard_swish(site: Site) -> Tensor:
    """On floats."""
    return _applied(site, nn.HardSwish)


def import_hard_sigmoid(site: Site) -> Tensor:
    """On floats."""
    alpha, beta = site.number("alpha", 0.2), site.number("beta", 0.5)
    return _applied(site, lambda value: nn.HardSigmoid(value, alpha, beta))


def import_log_softmax(site: Site) -> Tensor:
    """Along any axis; before opset 13 along all axes from the given one on."""
    return along_axis(site, site.float_operand(0), site.opset, nn.LogSoftmax)


def _applied(site: Site, make: Callable[[Value], Op]) -> Tensor:
    activation = site.float_operand(0)
    return Activation(site.emit(make(activation.value)), activation.permutation)


def softmax_of(site: Site, activation: Activation, opset: int, element: Element) -> Tensor:
    """Emit a softmax as an operator set defines it."""
    return along_axis(site, activation, opset, lambda value: nn.Softmax(value, element=element))


def along_axis(site: Site, activation: Activation, opset: int, make: Callable[[Value], Op]) -> Tensor:
    """Emit an op of the last axis along the node's axis; before operator set 13 over all axes from that on."""
    rank = len(activation.shape)
    if rank == 0:
        raise UnsupportedError("its operand has no axes")
    axis = site.axis(site.integer("axis", -1 if opset >= 13 else 1), rank, first_beyond=opset < 13)
    if opset < 13 and axis != rank - 1:
        rows = (math.prod(activation.shape[:axis]), math.prod(activation.shape[axis:]))
        flat = site.emitter.reshape(activation, rows, site.location)
        return site.reshape(Activation.plain(site.emit(make(flat))), activation.shape)
    # The axis goes last, and back again.
    order = (*(other for other in range(rank) if other != axis), axis)
    moved = activation.transposed(order)
    if moved.permutation[-1] != rank - 1:
        moved = Activation.plain(site.logical(moved))
    result = Activation(site.emit(make(moved.value)), moved.permutation)
    return result.transposed(tuple(order.index(other) for other in range(rank)))


def _clip(site: Site, clamp: tuple[float, float]) -> Tensor:
    activation = site.float_operand(0)
    return Activation(site.emit(nn.Clip(activation.value, clamp)), activation.permutation)


def _clip_codes(site: Site, codes: Activation, limits: tuple[float, float]) -> Tensor:
    """Clip codes: PyTorch writes a narrower range of codes, such as -127 to 127, in this way."""
    quantization = codes.value.type.quantization
    if quantization is None or not quantization.is_per_tensor:
        raise UnsupportedError("it clips codes whose scale is not known, or differs along an axis")
    low, high = (quantization.scale * (limit - quantization.zero_point) for limit in limits)
    return Activation(site.emit(nn.Clip(codes.value, (low, high), codes.value.type.element)), codes.permutation)


def _bound_operand(site: Site, index: int, role: str) -> float:
    array = site.plain_array(index, role)
    if array.size != 1:
        raise UnsupportedError(f"the {role} must be one number, found shape {list(array.shape)}")
    return _bound(float(array.reshape(-1)[0]))


def _bound(bound: float) -> float:
    """Return an infinite bound for the largest float, which exporters write for "none"."""
    return math.copysign(math.inf, bound) if abs(bound) >= _SINGLE_PRECISION_LIMIT else bound


ACTIVATION_RULES: Mapping[str, NodeRule] = {
    "Relu": NodeRule(import_relu, 1),
    "Clip": NodeRule(import_clip, 3, ("min", "max")),
    "LeakyRelu": NodeRule(import_leaky_relu, 1, ("alpha",)),
    "Elu": NodeRule(import_elu, 1, ("alpha",)),
    "Sigmoid": NodeRule(import_sigmoid, 1),
    "Tanh": NodeRule(import_tanh, 1),
    "Abs": NodeRule(import_abs, 1),
    "Exp": NodeRule(import_exp, 1),
    "Log": NodeRule(import_log, 1),
    "Sqrt": NodeRule(import_sqrt, 1),
    "Gelu": NodeRule(import_gelu, 1, ("approximate",)),
    "HardSwish": NodeRule(import_hard_swish, 1),
    "HardSigmoid": NodeRule(import_hard_sigmoid, 1, ("alpha", "beta")),
    "Softmax": NodeRule(import_softmax, 1, ("axis",)),
    "LogSoftmax": NodeRule(import_log_softmax, 1, ("axis",)),
}
"""Nodes that apply a function to one tensor."""
