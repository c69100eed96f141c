"""Operands of the operators that work on codes: each comes with its own scale and zero point inputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mrqc.frontends.constants import Constant, UnsupportedError
from mrqc.frontends.onnx.quantize import as_stored, describe_element, element_from
from mrqc.frontends.onnx.site import Site
from mrqc.frontends.onnx.tensors import Activation
from mrqc.ir.dtype import DType
from mrqc.ir.op import Value
from mrqc.ir.quantization import Quantization
from mrqc.ir.types import Element

NO_SCALE = -1
"""In place of an input's index: the operator gives codes no scale, they are integers."""


@dataclass(frozen=True, slots=True)
class CodeOperand:
    """Where a node keeps one operand in codes.

    Attributes:
        tensor: Index of the input with the codes.
        scale: Index of the input with their scale, or :data:`NO_SCALE`.
        zero_point: Index of the input with their zero point.
        axis: The axis that a list of scales runs along.
    """

    tensor: int
    scale: int
    zero_point: int
    axis: int = 0


FIRST = CodeOperand(0, 1, 2)
SECOND = CodeOperand(3, 4, 5)

CODE_OPERANDS: Mapping[tuple[str, str], tuple[CodeOperand, ...]] = {
    ("", "DequantizeLinear"): (FIRST,),
    ("", "QLinearConv"): (FIRST,),
    ("", "QLinearMatMul"): (FIRST, SECOND),
    ("", "ConvInteger"): (CodeOperand(0, NO_SCALE, 2),),
    ("", "MatMulInteger"): (CodeOperand(0, NO_SCALE, 2), CodeOperand(1, NO_SCALE, 3)),
    **{
        ("com.microsoft", op_type): (FIRST,)
        for op_type in (
            "DequantizeLinear",
            "QGemm",
            "QLinearAveragePool",
            "QLinearGlobalAveragePool",
            "QLinearLeakyRelu",
            "QLinearSigmoid",
            "QLinearSoftmax",
        )
    },
    ("com.microsoft", "QLinearAdd"): (FIRST, SECOND),
    ("com.microsoft", "QLinearMul"): (FIRST, SECOND),
}
"""The operands that may be computed, of each operator that reads codes; QLinearConcat has as many as it likes."""


def code_operands(domain: str, op_type: str, inputs: int) -> tuple[CodeOperand, ...]:
    """Return where a node of ``inputs`` inputs reads codes that may be computed."""
    if (domain, op_type) == ("com.microsoft", "QLinearConcat"):
        return tuple(CodeOperand(index, index + 1, index + 2) for index in range(2, inputs, 3))
    return CODE_OPERANDS.get((domain, op_type), ())


def read_codes(site: Site, where: CodeOperand) -> Activation:
    """Return an operand in codes, constant or computed.

    Raises:
        UnsupportedError: It holds floats, or codes that were quantized with another scale or zero point.
    """
    tensor = site.operand(where.tensor)
    if isinstance(tensor, Constant):
        return Activation.plain(emitted_codes(site, constant_codes(site, where)))
    type_ = tensor.value.type
    if not type_.dtype.is_integer:
        raise UnsupportedError(f"its input {where.tensor} holds floats, not codes")
    element = as_stored(operand_element(site, where, type_.dtype, tensor.shape), tensor)
    if type_.quantization is None:
        # The codes come from something that is reported already; go on with what this node says.
        return Activation(Value(tensor.value.name, type_.with_element(element)), tensor.permutation)
    if where.scale == NO_SCALE:
        if type_.quantization.zero_points != _zero_points(element):
            raise UnsupportedError(f"it reads codes with another zero point than {describe_element(type_.element)}")
    elif type_.element != element:
        raise UnsupportedError(
            f"it reads codes with {describe_element(element)} that were quantized with "
            f"{describe_element(type_.element)}",
            "give it the scale and zero point that the codes were quantized with",
        )
    return tensor


def constant_codes(site: Site, where: CodeOperand) -> Constant:
    """Return an operand in codes that must be known at import, such as weights."""
    constant = site.constant(where.tensor, "weight")
    dtype = DType.of(constant.array.dtype)
    if constant.element is not None or dtype is None or not dtype.is_integer:
        raise UnsupportedError(f"its input {constant.name!r} must hold codes, found {constant.array.dtype}")
    element = operand_element(site, where, dtype, constant.shape)
    return Constant(constant.name, constant.array, element, site.node.label)


def emitted_codes(site: Site, constant: Constant) -> Value:
    """Return the value of a constant in codes."""
    return site.emitter.codes(constant, site.location)


def operand_element(site: Site, where: CodeOperand, dtype: DType, shape: tuple[int, ...]) -> Element:
    """Return what the scale and zero point inputs of an operand say about its codes."""
    zero_points = site.plain_array(where.zero_point, "zero point") if site.has_operand(where.zero_point) else None
    if where.scale == NO_SCALE:
        scales = np.ones(() if zero_points is None else zero_points.shape, np.float32)
    else:
        scales = site.plain_array(where.scale, "scale")
    return element_from(scales, zero_points, dtype, shape, where.axis)


def result_element(site: Site, scale: int, zero_point: int, fallback: DType) -> Element:
    """Return what the result's scale and zero point inputs say; without a zero point it has dtype ``fallback``."""
    dtype: DType | None = fallback
    if site.has_operand(zero_point):
        dtype = DType.of(site.plain_array(zero_point, "zero point").dtype)
    if dtype is None or dtype not in (DType.I8, DType.U8, DType.I16):
        raise UnsupportedError("results must be INT8, UINT8 or INT16")
    element = operand_element(site, CodeOperand(NO_SCALE, scale, zero_point), dtype, ())
    assert element.quantization is not None
    if not element.quantization.is_per_tensor:
        raise UnsupportedError("the result needs one scale")
    return element


def bias_element(input_: Element, weight: Element) -> Element:
    """Return what a 32-bit bias means: the scale of the products."""
    assert input_.quantization is not None
    assert weight.quantization is not None
    scales = [input_.quantization.scale * scale for scale in weight.quantization.scales]
    if len(scales) == 1:
        return Element.per_tensor(DType.I32, scales[0])
    return Element(DType.I32, Quantization.per_axis(scales, [0] * len(scales), 0))


def _zero_points(element: Element) -> tuple[int, ...]:
    assert element.quantization is not None
    return element.quantization.zero_points
