"""Conv, Gemm, MatMul."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from mrqc.frontends.constants import Constant, UnsupportedError
from mrqc.frontends.onnx.site import NodeRule, Site
from mrqc.frontends.onnx.tensors import NHWC_SEEN_AS_NCHW, Activation, Tensor
from mrqc.frontends.onnx.windows import WINDOW_ATTRIBUTES, read_window
from mrqc.ir.op import Value
from mrqc.ops import nn

OHWI_FROM_OIHW = (0, 2, 3, 1)


def import_conv(site: Site) -> Tensor:
    """2-D, with constant weights and bias, any groups, strides, dilations and padding."""
    image = site.image_operand(0)
    weight = site.constant(1, "weight")
    if len(weight.shape) != 4:
        raise UnsupportedError(f"only 2-D convolutions are supported, the weight has shape {list(weight.shape)}")
    kernel = (weight.shape[2], weight.shape[3])
    if site.pair("kernel_shape", kernel) != kernel:
        raise UnsupportedError(f"kernel_shape does not agree with the weight's shape {list(weight.shape)}")
    window = read_window(site, kernel, *image.shape[2:])
    op = nn.Conv2D(
        site.nhwc(image),
        _emitted(site, weight.transposed(OHWI_FROM_OIHW)),
        _emitted(site, site.constant(2, "bias")) if site.has_operand(2) else None,
        window.strides,
        window.padding,
        window.dilations,
        site.integer("group", 1),
    )
    return Activation(site.emit(op), NHWC_SEEN_AS_NCHW)


def import_gemm(site: Site) -> Tensor:
    """With constant B and C; a positive alpha and a beta that is not negative go into their scales."""
    rows = site.float_operand(0)
    weight = site.constant(1, "weight")
    if len(rows.shape) != 2 or len(weight.shape) != 2:
        raise UnsupportedError(f"both operands need 2 axes, found {list(rows.shape)} and {list(weight.shape)}")
    if site.integer("transA", 0):
        rows = rows.transposed((1, 0))
    if not site.integer("transB", 0):
        weight = weight.transposed((1, 0))
    weight = _scaled(weight, site.number("alpha", 1.0), "alpha")
    beta = site.number("beta", 1.0)
    bias = None
    if site.has_operand(2) and beta != 0:
        bias = _emitted(site, _scaled(_row_bias(site.constant(2, "bias"), weight.shape[0]), beta, "beta"))
    return Activation.plain(site.emit(nn.FullyConnected(site.logical(rows), _emitted(site, weight), bias)))


def import_matmul(site: Site) -> Tensor:
    """Rows times a constant matrix, to which a constant that is added becomes the bias; or any two computed stacks."""
    rows, factor = site.float_operand(0), site.operand(1)
    if isinstance(factor, Activation):
        factor = site.float_operand(1)
    if min(len(rows.shape), len(factor.shape)) < 1:
        raise UnsupportedError("its operands need an axis each")
    result = _product(site, site.as_activation(_matrix(site, rows, 0)), _matrix(site, factor, 1))
    # An axis that a vector was given for the product is none of the result.
    shape = result.shape if len(rows.shape) > 1 else (*result.shape[:-2], *result.shape[-1:])
    return site.reshape(result, shape if len(factor.shape) > 1 else shape[:-1])


def _matrix(site: Site, tensor: Activation | Constant, axis: int) -> Activation | Constant:
    """Return a vector as a matrix with a new axis at that place, and anything else as it is."""
    if len(tensor.shape) > 1:
        return tensor
    shape = (1, *tensor.shape) if axis == 0 else (*tensor.shape, 1)
    if isinstance(tensor, Constant):
        return tensor.reshaped(shape)
    return Activation.plain(site.emitter.reshape(tensor, shape, site.location))


def _product(site: Site, rows: Activation, factor: Activation | Constant) -> Activation:
    """Return the product of two operands with two axes or more."""
    if isinstance(factor, Activation) or len(factor.shape) > 2:
        second = site.as_activation(factor)
        return Activation.plain(site.emit(nn.BatchMatMul(site.logical(rows), site.logical(second))))
    weight = factor.transposed((1, 0))
    flat = (math.prod(rows.shape[:-1]), rows.shape[-1])
    matrix = site.logical(rows) if len(rows.shape) == 2 else site.emitter.reshape(rows, flat, site.location)
    result = Activation.plain(site.emit(nn.FullyConnected(matrix, _emitted(site, weight))))
    shape = (*rows.shape[:-1], *factor.shape[1:])
    return result if shape == result.shape else Activation.plain(site.emitter.reshape(result, shape, site.location))


def _emitted(site: Site, constant: Constant) -> Value:
    return site.as_activation(constant).value


def _scaled(constant: Constant, factor: float, name: str) -> Constant:
    if factor == 1.0:
        return constant
    if not (np.isfinite(factor) and factor > 0):
        raise UnsupportedError(f"{name} must be positive, found {factor}")
    return constant.scaled(factor)


def _row_bias(constant: Constant, outputs: int) -> Constant:
    """Return C of a Gemm as one number for each output."""
    if constant.shape in ((outputs,), (1, outputs)):
        return constant.reshaped((outputs,))
    if constant.array.size == 1:
        single = constant.reshaped(())
        return Constant(single.name, np.broadcast_to(single.array, (outputs,)), single.element, single.dequantized_by)
    raise UnsupportedError(
        f"the bias has shape {list(constant.shape)}", f"one number, or one for each of the {outputs} outputs"
    )


CONTRACTION_RULES: Mapping[str, NodeRule] = {
    "Conv": NodeRule(import_conv, 3, (*WINDOW_ATTRIBUTES, "group")),
    "Gemm": NodeRule(import_gemm, 3, ("alpha", "beta", "transA", "transB")),
    "MatMul": NodeRule(import_matmul, 2),
}
"""Nodes that multiply and accumulate."""
