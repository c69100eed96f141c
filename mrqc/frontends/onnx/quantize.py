"""QuantizeLinear and DequantizeLinear."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from mrqc.frontends.constants import Constant, UnsupportedError, with_axis
from mrqc.frontends.onnx.arrays import element_type_name, numpy_type
from mrqc.frontends.onnx.site import NodeRule, Site, checked_axis
from mrqc.frontends.onnx.tensors import Activation, Tensor
from mrqc.ir.dtype import DType
from mrqc.ir.op import Value
from mrqc.ir.quantization import Quantization
from mrqc.ir.types import Element
from mrqc.ops import nn

_BLOCKS = ("scales in blocks are not supported", "one for the tensor, or along one axis")


def import_quantize(site: Site) -> Tensor:
    """To INT8, UINT8 or INT16, with constant scales for the whole tensor or along one axis."""
    _require_single_precision(site, "precision")
    tensor = site.operand(0)
    element = quantized_element(site, _result_dtype(site), tensor.shape)
    if isinstance(tensor, Constant):
        return Constant(tensor.name, _quantized(tensor.real(), element))
    if tensor.value.type.dtype is not DType.F32:
        raise UnsupportedError("its input holds integers, not floats")
    return Activation(site.emit(nn.Quantize(tensor.value, as_stored(element, tensor))), tensor.permutation)


def import_dequantize(site: Site) -> Tensor:
    """From INT8, UINT8, INT16 or INT32, with the scales that the codes were quantized with."""
    _require_single_precision(site, "output_dtype")
    tensor = site.operand(0)
    if isinstance(tensor, Constant):
        return _dequantized_constant(site, tensor)
    type_ = tensor.value.type
    if type_.dtype is DType.F32:
        raise UnsupportedError("its input holds floats, not integers")
    element = as_stored(quantized_element(site, type_.dtype, tensor.shape), tensor)
    if type_.quantization is None:
        # The codes come from something that is reported already; go on with what this node says.
        return Activation(
            site.emit(nn.Dequantize(Value(tensor.value.name, type_.with_element(element)))),
            tensor.permutation,
        )
    if type_.element != element:
        raise UnsupportedError(
            f"it reads codes with {describe_element(element)} that were quantized with "
            f"{describe_element(type_.element)}",
            "give the DequantizeLinear the scale and zero point of the QuantizeLinear",
        )
    return Activation(site.emit(nn.Dequantize(tensor.value)), tensor.permutation)


def quantized_element(site: Site, dtype: DType, shape: tuple[int, ...]) -> Element:
    """Return what the scale and zero point of a node say about a tensor of ``shape`` as ONNX sees it.

    Raises:
        UnsupportedError: They are computed, in blocks, of the wrong shape, or no valid quantization.
    """
    if block_size := site.integer("block_size", 0):
        raise UnsupportedError(f"block_size {block_size}: {_BLOCKS[0]}", _BLOCKS[1])
    zero_points = site.plain_array(2, "zero point") if site.has_operand(2) else None
    return element_from(site.plain_array(1, "scale"), zero_points, dtype, shape, site.integer("axis", 1))


def element_from(
    scales: NDArray[Any], zero_points: NDArray[Any] | None, dtype: DType, shape: tuple[int, ...], axis: int
) -> Element:
    """Return what scales and zero points, as a file holds them, say about codes.

    Args:
        scales: One for the tensor, or one for each index along ``axis``.
        zero_points: As many; None for zeros.
        dtype: Of the codes.
        shape: Of the tensor, as ONNX sees it.
        axis: May be negative.

    Raises:
        UnsupportedError: They are in blocks, of the wrong shape or type, or no valid quantization.
    """
    if scales.dtype != np.float32:
        raise UnsupportedError(f"the scale must be FLOAT, found {scales.dtype}")
    if zero_points is None:
        zero_points = np.zeros(scales.shape, dtype.numpy)
    if zero_points.dtype != dtype.numpy:
        raise UnsupportedError(f"the zero point is {zero_points.dtype}, the codes are {dtype.numpy}")
    if scales.size != zero_points.size:
        raise UnsupportedError(f"there are {scales.size} scales and {zero_points.size} zero points")
    if scales.ndim > 1:
        raise UnsupportedError(*_BLOCKS)
    if scales.size == 1:
        quantization = Quantization.per_tensor(float(scales.reshape(-1)[0]), int(zero_points.reshape(-1)[0]))
    else:
        along = checked_axis(axis, len(shape))
        quantization = Quantization.per_axis(scales.tolist(), zero_points.reshape(-1).tolist(), along)
    problems = list(quantization.problems(shape, dtype.minimum, dtype.maximum))
    if problems:
        raise UnsupportedError("; ".join(problems))
    return Element(dtype, quantization)


def _result_dtype(site: Site) -> DType:
    """Return the type of a QuantizeLinear's codes: its zero point's, else ``output_dtype``, else u8."""
    numpy = site.plain_array(2, "zero point").dtype if site.has_operand(2) else None
    if wanted := site.integer("output_dtype", 0):
        named = numpy_type(wanted)
        if named is None:
            raise UnsupportedError(f"codes of element type {element_type_name(wanted)} are not supported")
        if numpy not in (None, named):
            raise UnsupportedError(f"output_dtype is {element_type_name(wanted)}, the zero point {numpy}")
        numpy = named
    dtype = DType.U8 if numpy is None else DType.of(numpy)
    if dtype is None or dtype not in (DType.I8, DType.U8, DType.I16):
        raise UnsupportedError(f"codes of type {numpy} are not supported")
    return dtype


def _require_single_precision(site: Site, attribute: str) -> None:
    wanted = site.integer(attribute, 0)
    if wanted not in (0, TensorProto.FLOAT):
        raise UnsupportedError(f"{attribute} {element_type_name(wanted)} is not supported", "FLOAT is")


def _quantized(real: NDArray[np.float32], element: Element) -> NDArray[Any]:
    """Return codes by the rule of QuantizeLinear, in single precision as runtimes compute it."""
    assert element.quantization is not None
    if not np.isfinite(real).all():
        raise UnsupportedError("the constant holds numbers that are not finite")
    scales = element.quantization.broadcast_scales(real.ndim).astype(np.float32)
    with np.errstate(over="ignore"):
        steps = np.rint(real / scales).astype(np.float64)
    codes = steps + element.quantization.broadcast_zero_points(real.ndim)
    return np.clip(codes, element.dtype.minimum, element.dtype.maximum).astype(element.dtype.numpy)


def _dequantized_constant(site: Site, tensor: Constant) -> Constant:
    dtype = DType.of(tensor.array.dtype)
    if tensor.element is not None or dtype is None or not dtype.is_integer:
        found = "floats" if tensor.element is not None else str(tensor.array.dtype)
        raise UnsupportedError(f"its input {tensor.name!r} must hold INT8, UINT8, INT16 or INT32, found {found}")
    return Constant(tensor.name, tensor.array, quantized_element(site, dtype, tensor.shape), site.node.label)


def as_stored(element: Element, activation: Activation) -> Element:
    """Return the element with the quantization axis of the value behind ``activation``."""
    assert element.quantization is not None
    axis = element.quantization.axis
    return element if axis is None else with_axis(element, activation.permutation[axis])


def describe_element(element: Element) -> str:
    """Return storage, scale and zero point in words."""
    assert element.quantization is not None
    if not element.quantization.is_per_tensor:
        return f"{element.dtype} scales along axis {element.quantization.axis}"
    return f"{element.dtype} scale {element.quantization.scale:.9g} zero point {element.quantization.zero_point}"


QUANTIZE_RULES: Mapping[str, NodeRule] = {
    "QuantizeLinear": NodeRule(import_quantize, 3, ("axis", "block_size", "output_dtype", "precision", "saturate")),
    "DequantizeLinear": NodeRule(import_dequantize, 3, ("axis", "block_size", "output_dtype")),
}
"""Between floats and codes."""
