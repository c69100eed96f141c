"""Add, Sub, Mul, Div, Max, Min, PRelu: two tensors element by element, stretched over each other as in numpy."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np

from mrqc.frontends.constants import Constant, UnsupportedError
from mrqc.frontends.onnx.site import NodeRule, Site
from mrqc.frontends.onnx.tensors import Activation, Tensor
from mrqc.ir.op import Op, Value
from mrqc.ops import nn

_Make: TypeAlias = Callable[[Value, Value], Op]


def import_add(site: Site) -> Tensor:
    """Tensors; a constant for each channel right after Conv becomes its bias, as after MatMul and Gemm on codes."""
    lhs, rhs = site.operand(0), site.operand(1)
    if isinstance(lhs, Constant) and isinstance(rhs, Activation):
        lhs, rhs = rhs, lhs
    if isinstance(lhs, Activation) and isinstance(rhs, Constant):
        fused = _with_bias(site, lhs, rhs)
        if fused is not None:
            return fused
    return _folded(site, np.add) or _combined(site, lhs, rhs, nn.Add)


def import_sub(site: Site) -> Tensor:
    """Tensors, or the numbers of a shape."""
    return _folded(site, np.subtract) or _combined(site, site.operand(0), site.operand(1), nn.Sub)


def import_mul(site: Site) -> Tensor:
    """Tensors, or the numbers of a shape."""
    return _folded(site, np.multiply) or _combined(site, site.operand(0), site.operand(1), nn.Mul)


def import_div(site: Site) -> Tensor:
    """By a constant, or the numbers of a shape."""
    folded = _folded(site, _divide)
    if folded is not None:
        return folded
    divisor = site.constant(1, "divisor")
    reals = divisor.real().astype(np.float64)
    with np.errstate(divide="ignore", over="ignore"):
        reciprocal = (1.0 / reals).astype(np.float32)
    if not np.isfinite(reciprocal).all():
        raise UnsupportedError("it divides by zero")
    return _combined(site, site.operand(0), Constant(f"{divisor.name}/reciprocal", reciprocal), nn.Mul)


def import_max(site: Site) -> Tensor:
    """Any number of tensors."""
    return _reduced(site, nn.Maximum)


def import_min(site: Site) -> Tensor:
    """Any number of tensors."""
    return _reduced(site, nn.Minimum)


def import_prelu(site: Site) -> Tensor:
    """With a slope that fits the input."""
    activation, slope = site.float_operand(0), site.operand(1)
    return _combined(site, activation, slope, nn.Prelu)


def _reduced(site: Site, make: _Make) -> Tensor:
    result: Activation | Constant = site.operand(0)
    for index in range(1, len(site.node.inputs)):
        result = _combined(site, result, site.operand(index), make)
    return result


def _combined(site: Site, lhs: Activation | Constant, rhs: Activation | Constant, make: _Make) -> Activation:
    first, second = site.as_activation(lhs), site.as_activation(rhs)
    for activation in (first, second):
        if activation.value.type.dtype.is_integer:
            raise UnsupportedError("it works on codes", "mrqc imports it between DequantizeLinear and QuantizeLinear")
    left, right, layout = site.emitter.aligned(first, second, site.location)
    return Activation(site.emit(make(left, right)), layout)


def _folded(site: Site, function: Callable[[Any, Any], Any]) -> Constant | None:
    """Return the result of plain constants, such as the extents of a shape."""
    operands = [site.operand(index) for index in range(2)]
    arrays = [tensor.array for tensor in operands if isinstance(tensor, Constant) and tensor.element is None]
    if len(arrays) < 2:
        return None
    try:
        with np.errstate(all="ignore"):
            return Constant(site.node.outputs[0], np.asarray(function(*arrays)).astype(arrays[0].dtype))
    except ValueError as error:
        raise UnsupportedError(f"its constants do not fit each other: {error}") from None


def _divide(lhs: Any, rhs: Any) -> Any:
    """Divide as ONNX does: integers towards zero."""
    if not np.issubdtype(np.asarray(lhs).dtype, np.integer):
        return np.divide(lhs, rhs)
    if np.any(np.asarray(rhs) == 0):
        raise UnsupportedError("it divides by zero")
    return np.trunc(np.divide(lhs, rhs))


def _with_bias(site: Site, activation: Activation, constant: Constant) -> Activation | None:
    """Return the layer that computes ``activation``, with the constant as its bias, if it is one without.

    A bias of a convolution is added last, so that floats stay what they are. That of a product of matrices is added
    first by some runtimes; pass ``fold-qdq`` makes it a bias where the result is rounded to codes.
    """
    layer = site.emitter.definition(activation.value)
    if not isinstance(layer, nn.Conv2D | nn.FullyConnected) or layer.bias is not None:
        return None
    channel_axis = activation.permutation.index(activation.value.type.rank - 1)
    channels = activation.shape[channel_axis]
    trailing = len(activation.shape) - channel_axis - 1
    shape = (1,) * (len(constant.shape) - trailing - 1) + (channels,) + (1,) * trailing
    if constant.shape != shape:
        return None
    bias = site.as_activation(constant.reshaped((channels,))).value
    if isinstance(layer, nn.FullyConnected):
        return Activation(site.emit(nn.Add(activation.value, bias)), activation.permutation)
    return Activation(
        site.emit(replace(layer, bias=bias), site.emitter.location(activation.value)), activation.permutation
    )


ELEMENTWISE_RULES: Mapping[str, NodeRule] = {
    "Add": NodeRule(import_add, 2),
    "Sub": NodeRule(import_sub, 2),
    "Mul": NodeRule(import_mul, 2),
    "Div": NodeRule(import_div, 2),
    "Max": NodeRule(import_max, sys.maxsize),
    "Min": NodeRule(import_min, sys.maxsize),
    "PRelu": NodeRule(import_prelu, 2),
}
"""Nodes that combine two tensors element by element."""
