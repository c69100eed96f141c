"""The operators on codes that contract: QLinearConv, QLinearMatMul, QGemm, ConvInteger, MatMulInteger."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from mrqc.frontends.constants import Constant, UnsupportedError
from mrqc.frontends.onnx.codes import (
    FIRST,
    NO_SCALE,
    CodeOperand,
    bias_element,
    constant_codes,
    emitted_codes,
    read_codes,
    result_element,
)
from mrqc.frontends.onnx.contraction import OHWI_FROM_OIHW
from mrqc.frontends.onnx.site import NodeRule, Site
from mrqc.frontends.onnx.tensors import NHWC_SEEN_AS_NCHW, Activation, Tensor
from mrqc.frontends.onnx.windows import WINDOW_ATTRIBUTES, read_window
from mrqc.ir.dtype import DType
from mrqc.ir.op import Value
from mrqc.ir.types import Element
from mrqc.ops import nn


def import_qlinear_conv(site: Site) -> Tensor:
    """2-D, with constant weights and bias; scales for the tensor or for each output channel."""
    image = read_codes(site, FIRST)
    weight = constant_codes(site, CodeOperand(3, 4, 5))
    element = result_element(site, 6, 7, image.value.type.dtype)
    bias = _bias(site, 8, image, weight) if site.has_operand(8) else None
    return _convolution(site, image, weight, bias, element)


def import_conv_integer(site: Site) -> Tensor:
    """2-D, with a constant weight; the sums are 32-bit integers at the input's scale."""
    image = read_codes(site, CodeOperand(0, NO_SCALE, 2))
    weight = constant_codes(site, CodeOperand(1, NO_SCALE, 3))
    return _convolution(site, image, weight, None, _sums(image.value.type.element))


def import_qlinear_matmul(site: Site) -> Tensor:
    """Rows times a constant matrix; scales for the tensor or for each column."""
    rows = read_codes(site, FIRST)
    weight = constant_codes(site, CodeOperand(3, 4, 5, axis=-1))
    return _product(site, rows, weight, None, result_element(site, 6, 7, rows.value.type.dtype))


def import_matmul_integer(site: Site) -> Tensor:
    """Rows times a constant matrix; the sums are 32-bit integers at the input's scale."""
    rows = read_codes(site, CodeOperand(0, NO_SCALE, 2))
    weight = constant_codes(site, CodeOperand(1, NO_SCALE, 3, axis=-1))
    return _product(site, rows, weight, None, _sums(rows.value.type.element))


def import_qgemm(site: Site) -> Tensor:
    """With a constant matrix and bias and alpha 1; scales for the tensor or for each column."""
    rows = read_codes(site, FIRST)
    is_transposed = bool(site.integer("transB", 0))
    weight = constant_codes(site, CodeOperand(3, 4, 5, axis=0 if is_transposed else 1))
    if site.number("alpha", 1.0) != 1.0:
        raise UnsupportedError(f"alpha must be 1, found {site.number('alpha', 1.0)}")
    if not site.has_operand(7):
        raise UnsupportedError("without a scale of the result it gives floats", "quantize its result")
    if len(rows.shape) != 2 or len(weight.shape) != 2:
        raise UnsupportedError(f"both operands need 2 axes, found {list(rows.shape)} and {list(weight.shape)}")
    if site.integer("transA", 0):
        rows = rows.transposed((1, 0))
    if is_transposed:
        weight = weight.transposed((1, 0))
    columns = weight.transposed((1, 0))
    bias = None
    if site.has_operand(6):
        bias = _bias(site, 6, rows, columns)
    return _product(site, rows, weight, bias, result_element(site, 7, 8, rows.value.type.dtype))


def refuse_dynamic_quantization(site: Site) -> Tensor:
    """Refused: its scale depends on the input, and an integer program has fixed ones."""
    del site
    raise UnsupportedError(
        "dynamic quantization cannot be lowered: its scale is computed from each input, integer programs have fixed "
        "ones",
        "quantize the model statically, with calibration data",
    )


def _convolution(site: Site, image: Activation, weight: Constant, bias: Value | None, element: Element) -> Activation:
    if len(image.shape) != 4 or len(weight.shape) != 4:
        raise UnsupportedError(
            f"only 2-D convolutions are supported, found shapes {list(image.shape)} and {list(weight.shape)}"
        )
    kernel = (weight.shape[2], weight.shape[3])
    if site.pair("kernel_shape", kernel) != kernel:
        raise UnsupportedError(f"kernel_shape does not agree with the weight's shape {list(weight.shape)}")
    window = read_window(site, kernel, *image.shape[2:])
    op = nn.Conv2D(
        site.nhwc(image),
        emitted_codes(site, weight.transposed(OHWI_FROM_OIHW)),
        bias,
        window.strides,
        window.padding,
        window.dilations,
        site.integer("group", 1),
        element=element,
    )
    return Activation(site.emit(op), NHWC_SEEN_AS_NCHW)


def _product(site: Site, rows: Activation, weight: Constant, bias: Value | None, element: Element) -> Tensor:
    if len(weight.shape) != 2 or len(rows.shape) < 2:
        raise UnsupportedError(
            f"rows times a matrix are supported, found shapes {list(rows.shape)} and {list(weight.shape)}"
        )
    columns = emitted_codes(site, weight.transposed((1, 0)))
    flat = (math.prod(rows.shape[:-1]), rows.shape[-1])
    matrix = site.logical(rows) if len(rows.shape) == 2 else site.emitter.reshape(rows, flat, site.location)
    result = Activation.plain(site.emit(nn.FullyConnected(matrix, columns, bias, element=element)))
    return site.reshape(result, (*rows.shape[:-1], weight.shape[1]))


def _bias(site: Site, index: int, input_: Activation, weight: Constant) -> Value:
    """Return the bias; ``weight`` has its output channels first."""
    constant = site.constant(index, "bias")
    if DType.of(constant.array.dtype) is not DType.I32 or constant.element is not None:
        raise UnsupportedError(f"the bias must hold INT32, found {constant.array.dtype}")
    outputs = weight.shape[0]
    if constant.shape not in ((outputs,), (1, outputs)):
        raise UnsupportedError(f"the bias has shape {list(constant.shape)}, not one number for {outputs} outputs")
    assert weight.element is not None
    element = bias_element(input_.value.type.element, weight.element)
    return emitted_codes(site, replace(constant.reshaped((outputs,)), element=element))


def _sums(input_: Element) -> Element:
    assert input_.quantization is not None
    return Element.per_tensor(DType.I32, input_.quantization.scale)


QOPERATOR_RULES: Mapping[tuple[str, str], NodeRule] = {
    ("", "QLinearConv"): NodeRule(import_qlinear_conv, 9, (*WINDOW_ATTRIBUTES, "group")),
    ("", "QLinearMatMul"): NodeRule(import_qlinear_matmul, 8),
    ("", "ConvInteger"): NodeRule(import_conv_integer, 4, (*WINDOW_ATTRIBUTES, "group")),
    ("", "MatMulInteger"): NodeRule(import_matmul_integer, 4),
    ("", "DynamicQuantizeLinear"): NodeRule(refuse_dynamic_quantization, 1, results=3),
    ("com.microsoft", "QGemm"): NodeRule(import_qgemm, 9, ("alpha", "transA", "transB")),
}
"""Operators whose operands are codes, and that sum up products."""
