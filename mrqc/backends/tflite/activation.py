"""Functions of one tensor."""

from __future__ import annotations

import math
from collections.abc import Mapping

from mrqc.backends.tflite.file import Options
from mrqc.backends.tflite.writer import TFLITE_EXPORTS, Site
from mrqc.errors import RefusalError
from mrqc.ir import FLOAT, DType, Element, Op
from mrqc.ops import nn

_RELUS = {(0.0, math.inf): "RELU", (0.0, 6.0): "RELU6", (-1.0, 1.0): "RELU_N1_TO_1", (0.0, 1.0): "RELU_0_TO_1"}

_PROBABILITIES: dict[DType, Element] = {
    DType.U8: Element.per_tensor(DType.U8, 1 / 256, 0),
    DType.I8: Element.per_tensor(DType.I8, 1 / 256, -128),
    DType.I16: Element.per_tensor(DType.I16, 1 / 32768, 0),
}
"""The one quantization of numbers from 0 to 1 that the kernels of softmax and sigmoid have, by type."""
_WIDE_PROBABILITIES = Element.per_tensor(DType.I16, 1 / 65536, -32768)
"""What a softmax of 8-bit codes has for results of 16 bits."""


@TFLITE_EXPORTS.register(nn.Clip)
def export_clip(op: Op, site: Site) -> None:
    """One of the ``RELU`` operators; any other interval by ``MAXIMUM`` and ``MINIMUM``."""
    assert isinstance(op, nn.Clip)
    builtin = _RELUS.get(op.clamp)
    if builtin is not None:
        site.finish(builtin, [site.operand(op.input)])
        return
    site.finish_limits(site.operand(op.input), op.clamp, op.input.type.element)


@TFLITE_EXPORTS.register(nn.Softmax)
def export_softmax(op: Op, site: Site) -> None:
    """``SOFTMAX``, and a ``QUANTIZE`` where the result is not at the scale that it always has."""
    assert isinstance(op, nn.Softmax)
    produced = op.element
    if produced.is_quantized:
        dtype = op.input.type.dtype
        if dtype not in _PROBABILITIES:
            raise RefusalError(f"a softmax of {dtype}: TFLite has one for u8, i8 and i16")
        widens = dtype.bytes < op.element.dtype.bytes
        produced = _WIDE_PROBABILITIES if widens else _PROBABILITIES[dtype]
    site.finish_at(produced, "SOFTMAX", [site.operand(op.input)], Options("SoftmaxOptions", (("Beta", op.beta),)))


_LOGARITHMS: dict[DType, Element] = {
    DType.U8: Element.per_tensor(DType.U8, 1 / 16, 255),
    DType.I8: Element.per_tensor(DType.I8, 1 / 16, 127),
}
_TANHS: dict[DType, Element] = {DType.I16: Element.per_tensor(DType.I16, 1 / 32768, 0)}
"""Quantizations that results always have, by type."""


@TFLITE_EXPORTS.register(nn.LeakyRelu)
def export_leaky_relu(op: Op, site: Site) -> None:
    """``LEAKY_RELU``."""
    assert isinstance(op, nn.LeakyRelu)
    site.finish("LEAKY_RELU", [site.operand(op.input)], Options("LeakyReluOptions", (("Alpha", op.alpha),)))


@TFLITE_EXPORTS.register(nn.Elu)
def export_elu(op: Op, site: Site) -> None:
    """``ELU``, of floats and i8 with alpha 1."""
    assert isinstance(op, nn.Elu)
    if op.alpha != 1.0 or (op.element.is_quantized and op.element.dtype is not DType.I8):
        raise RefusalError(f"an ELU of {op.element.dtype} with alpha {op.alpha:.6g}: TFLite has it for i8 with alpha 1")
    site.finish("ELU", [site.operand(op.input)])


@TFLITE_EXPORTS.register(nn.Sigmoid)
def export_sigmoid(op: Op, site: Site) -> None:
    """``LOGISTIC``, and a ``QUANTIZE`` where the result is not at the scale that it always has."""
    assert isinstance(op, nn.Sigmoid)
    _finish_at(site, "LOGISTIC", op, _PROBABILITIES)


@TFLITE_EXPORTS.register(nn.Tanh)
def export_tanh(op: Op, site: Site) -> None:
    """``TANH``, and for i16 a ``QUANTIZE`` where the result is not at the scale that it always has."""
    assert isinstance(op, nn.Tanh)
    _finish_at(site, "TANH", op, _TANHS)


@TFLITE_EXPORTS.register(nn.LogSoftmax)
def export_log_softmax(op: Op, site: Site) -> None:
    """``LOG_SOFTMAX``, and a ``QUANTIZE`` where the result is not at the scale that it always has.

    On codes it saturates at about -16: where the result goes further down, it is computed in floats.
    """
    assert isinstance(op, nn.LogSoftmax)
    options = Options("LogSoftmaxOptions")
    if not op.element.is_quantized or _reaches(op, _LOGARITHMS.get(op.input.type.dtype)):
        _finish_at(site, "LOG_SOFTMAX", op, _LOGARITHMS, options)
        return
    real = op.input.type.with_element(FLOAT)
    operand = site.operand(op.input)
    if op.input.type.element.is_quantized:
        operand = site.step("DEQUANTIZE", [operand], real, Options("DequantizeOptions"))
    logarithms = site.step("LOG_SOFTMAX", [operand], real, options)
    site.finish("QUANTIZE", [logarithms], Options("QuantizeOptions"))


def _reaches(op: nn.LogSoftmax, produced: Element | None) -> bool:
    """Whether an element holds, to within half a code of the result, the least number that a log-softmax gives."""
    if produced is None or not op.input.type.element.is_quantized:
        return False
    low, high = op.input.type.element.real_range
    step = op.element.quantization.scale if op.element.quantization is not None else 0.0
    least = max(op.element.real_range[0], low - high - math.log(op.input.type.shape[-1]))
    return least >= produced.real_range[0] - step / 2


@TFLITE_EXPORTS.register(nn.HardSwish)
def export_hard_swish(op: Op, site: Site) -> None:
    """``HARD_SWISH``."""
    assert isinstance(op, nn.HardSwish)
    site.finish("HARD_SWISH", [site.operand(op.input)], Options("HardSwishOptions"))


_ELEMENTARY: Mapping[type[Op], tuple[str, Options | None]] = {
    nn.Abs: ("ABS", Options("AbsOptions")),
    nn.Exp: ("EXP", Options("ExpOptions")),
    nn.Log: ("LOG", None),
    nn.Sqrt: ("SQRT", None),
    nn.Rsqrt: ("RSQRT", None),
}


@TFLITE_EXPORTS.register(*_ELEMENTARY)
def export_elementary(op: Op, site: Site) -> None:
    """The operator of the same name, of floats and signed codes."""
    assert isinstance(op, nn.Abs | nn.Exp | nn.Log | nn.Sqrt | nn.Rsqrt)
    if DType.U8 in (op.input.type.dtype, op.element.dtype) or op.input.type.dtype is not op.element.dtype:
        raise RefusalError(f"{op.mnemonic} from {op.input.type.dtype} to {op.element.dtype}: TFLite has signed codes")
    builtin, options = _ELEMENTARY[type(op)]
    site.finish(builtin, [site.operand(op.input)], options)


@TFLITE_EXPORTS.register(nn.Gelu)
def export_gelu(op: Op, site: Site) -> None:
    """``GELU``."""
    assert isinstance(op, nn.Gelu)
    site.finish("GELU", [site.operand(op.input)], Options("GeluOptions", (("Approximate", op.approximate),)))


@TFLITE_EXPORTS.register(nn.HardSigmoid)
def refuse_hard_sigmoid(op: Op, site: Site) -> None:
    """Refuse: TFLite has none."""
    del site
    raise RefusalError(f"{op.mnemonic}: TFLite has no such operator")


def _finish_at(
    site: Site,
    builtin: str,
    op: nn.Sigmoid | nn.Tanh | nn.LogSoftmax,
    elements: Mapping[DType, Element],
    options: Options | None = None,
) -> None:
    """Write an operator whose result has one of ``elements``, any other dtype being free."""
    produced = elements.get(op.input.type.dtype, op.element) if op.element.is_quantized else op.element
    site.finish_at(produced, builtin, [site.operand(op.input)], options)
