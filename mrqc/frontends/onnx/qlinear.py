"""ONNX Runtime's operators on codes beside contractions: QLinearAdd, QLinearAveragePool, QLinearSoftmax and so on."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from mrqc.frontends.constants import UnsupportedError
from mrqc.frontends.onnx.activation import softmax_of
from mrqc.frontends.onnx.codes import FIRST, SECOND, code_operands, read_codes, result_element
from mrqc.frontends.onnx.pooling import pool_window, whole_image
from mrqc.frontends.onnx.rearrange import concatenated
from mrqc.frontends.onnx.site import NodeRule, Site
from mrqc.frontends.onnx.tensors import NHWC_SEEN_AS_NCHW, Activation, Tensor
from mrqc.frontends.onnx.windows import WINDOW_ATTRIBUTES
from mrqc.ir.op import Value
from mrqc.ops import nn

_DOMAIN = "com.microsoft"


def import_qlinear_add(site: Site) -> Tensor:
    """Tensors of shapes that numpy would broadcast."""
    lhs, rhs = read_codes(site, FIRST), read_codes(site, SECOND)
    element = result_element(site, 6, 7, lhs.value.type.dtype)
    left, right, layout = site.emitter.aligned(lhs, rhs, site.location)
    return Activation(site.emit(nn.Add(left, right, element=element)), layout)


def import_qlinear_mul(site: Site) -> Tensor:
    """Tensors of shapes that numpy would broadcast."""
    lhs, rhs = read_codes(site, FIRST), read_codes(site, SECOND)
    element = result_element(site, 6, 7, lhs.value.type.dtype)
    left, right, layout = site.emitter.aligned(lhs, rhs, site.location)
    return Activation(site.emit(nn.Mul(left, right, element=element)), layout)


def import_qlinear_sigmoid(site: Site) -> Tensor:
    """Of any shape."""
    codes = read_codes(site, FIRST)
    element = result_element(site, 3, 4, codes.value.type.dtype)
    return Activation(site.emit(nn.Sigmoid(codes.value, element)), codes.permutation)


def import_qlinear_leaky_relu(site: Site) -> Tensor:
    """Of any shape."""
    codes = read_codes(site, FIRST)
    element = result_element(site, 3, 4, codes.value.type.dtype)
    op = nn.LeakyRelu(codes.value, site.number("alpha", 0.01), element)
    return Activation(site.emit(op), codes.permutation)


def import_qlinear_concat(site: Site) -> Tensor:
    """Along any axis, each operand with its own scale."""
    operands = code_operands(_DOMAIN, "QLinearConcat", len(site.node.inputs))
    codes = [read_codes(site, where) for where in operands]
    if not codes:
        raise UnsupportedError("it has nothing to join")
    element = result_element(site, 0, 1, codes[0].value.type.dtype)
    return concatenated(site, codes, site.integer("axis", 1), element)


def import_qlinear_average_pool(site: Site) -> Tensor:
    """2-D; ceil_mode only where it makes no difference."""
    image = _image(site)
    window = pool_window(site, image)
    op = nn.AveragePool2D(
        site.nhwc(image),
        window.kernel,
        window.strides,
        window.padding,
        bool(site.integer("count_include_pad", 0)),
        element=result_element(site, 3, 4, image.value.type.dtype),
    )
    return _as_given(site, site.emit(op))


def import_qlinear_global_average_pool(site: Site) -> Tensor:
    """2-D."""
    image = _image(site)
    element = result_element(site, 3, 4, image.value.type.dtype)
    return _as_given(site, site.emit(nn.AveragePool2D(site.nhwc(image), whole_image(image), element=element)))


def import_qlinear_softmax(site: Site) -> Tensor:
    """As Softmax of the operator set that its attribute names."""
    codes = read_codes(site, FIRST)
    element = result_element(site, 3, 4, codes.value.type.dtype)
    return softmax_of(site, codes, site.integer("opset", 13), element)


def _image(site: Site) -> Activation:
    """Return the operand as ONNX's own layout has it."""
    image = read_codes(site, FIRST)
    if len(image.shape) != 4:
        raise UnsupportedError(f"only images with 4 axes are supported, found shape {list(image.shape)}")
    return image.transposed((0, 3, 1, 2)) if site.integer("channels_last", 0) else image


def _as_given(site: Site, value: Value) -> Activation:
    image = Activation(value, NHWC_SEEN_AS_NCHW)
    return image.transposed((0, 2, 3, 1)) if site.integer("channels_last", 0) else image


QLINEAR_RULES: Mapping[tuple[str, str], NodeRule] = {
    (_DOMAIN, "QLinearAdd"): NodeRule(import_qlinear_add, 8),
    (_DOMAIN, "QLinearMul"): NodeRule(import_qlinear_mul, 8),
    (_DOMAIN, "QLinearSigmoid"): NodeRule(import_qlinear_sigmoid, 5),
    (_DOMAIN, "QLinearLeakyRelu"): NodeRule(import_qlinear_leaky_relu, 5, ("alpha",)),
    (_DOMAIN, "QLinearConcat"): NodeRule(import_qlinear_concat, sys.maxsize, ("axis",)),
    (_DOMAIN, "QLinearAveragePool"): NodeRule(
        import_qlinear_average_pool, 5, (*WINDOW_ATTRIBUTES, "ceil_mode", "count_include_pad", "channels_last")
    ),
    (_DOMAIN, "QLinearGlobalAveragePool"): NodeRule(import_qlinear_global_average_pool, 5, ("channels_last",)),
    (_DOMAIN, "QLinearSoftmax"): NodeRule(import_qlinear_softmax, 5, ("axis", "opset")),
}
"""Operators of ONNX Runtime whose operands are codes."""
