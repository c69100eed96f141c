"""Pads, slices, choices, concatenations and searches."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from mrqc.backends.onnx.site import BYTES, ONNX_EXPORTS, Site
from mrqc.backends.onnx.writer import MICROSOFT, Layout
from mrqc.ir import DType, Op
from mrqc.ops import nn

_ORDER = Layout.LOGICAL
_BACKWARDS_TO_THE_START = np.iinfo(np.int64).min


@ONNX_EXPORTS.register(nn.Pad)
def export_pad(op: Op, site: Site) -> None:
    """``Pad`` of what is stored."""
    assert isinstance(op, nn.Pad)
    element = op.input.type.element
    value = np.array([op.value])
    if element.quantization is not None and element.dtype in BYTES:
        value = element.quantization.quantize(value, element.dtype.minimum, element.dtype.maximum)
    numpy = np.float32 if element.is_quantized and element.dtype not in BYTES else element.dtype.numpy
    stored = site.writer.initializer("value", value.astype(numpy).reshape(()))
    operand, define = site.movable(op.input, _ORDER)
    define(site.node("Pad", [operand, _amounts(op.padding, site), stored]), _ORDER)


@ONNX_EXPORTS.register(nn.MirrorPad)
def export_mirror_pad(op: Op, site: Site) -> None:
    """``Pad`` of what is stored, in the mode that reflects; ``Gather`` along each axis for the other."""
    assert isinstance(op, nn.MirrorPad)
    codes = site.writer.codes(op.input, _ORDER)
    for axis in range(op.input.type.rank):
        if any(op.padding[2 * axis : 2 * axis + 2]):
            codes = site.node("Gather", [codes, _integers("indices", op.indices(axis), site)], axis=axis)
    site.define_codes(codes, _ORDER)


@ONNX_EXPORTS.register(nn.Concat)
def export_concat(op: Op, site: Site) -> None:
    """``QLinearConcat``, or ``Concat``: of codes where all have one scale, else of the real values."""
    assert isinstance(op, nn.Concat)
    if site.uses_qoperator(*op.inputs):
        operands = [name for value in op.inputs for name in site.codes_and_quantization(value, _ORDER)]
        inputs = [*site.quantization_of(site.result), *operands]
        site.define_codes(site.node("QLinearConcat", inputs, MICROSOFT, axis=op.axis), _ORDER)
        return
    is_tied = all(value.type.element == op.element for value in op.inputs)
    source = site.writer.codes if is_tied else site.writer.real
    joined = site.node("Concat", [source(value, _ORDER) for value in op.inputs], axis=op.axis)
    (site.define_codes if is_tied else site.define)(joined, _ORDER)


@ONNX_EXPORTS.register(nn.Slice)
def export_slice(op: Op, site: Site) -> None:
    """``Slice`` of what is stored."""
    assert isinstance(op, nn.Slice)
    ends = [begin + size * stride for begin, size, stride in zip(op.begin, op.size, op.strides, strict=True)]
    ends = [end if end >= 0 else _BACKWARDS_TO_THE_START for end in ends]
    names = (("starts", op.begin), ("ends", ends), ("axes", range(len(ends))), ("steps", op.strides))
    inputs = [site.writer.codes(op.input, _ORDER), *(_integers(name, numbers, site) for name, numbers in names)]
    site.define_codes(site.node("Slice", inputs), _ORDER)


@ONNX_EXPORTS.register(nn.Take)
def export_take(op: Op, site: Site) -> None:
    """``Gather`` of what is stored."""
    assert isinstance(op, nn.Take)
    inputs = [site.writer.codes(op.input, _ORDER), _integers("indices", op.indices, site)]
    site.define_codes(site.node("Gather", inputs, axis=op.axis), _ORDER)


@ONNX_EXPORTS.register(nn.ArgMax)
def export_arg_max(op: Op, site: Site) -> None:
    """``ArgMax`` and ``ArgMin`` of what is stored."""
    assert isinstance(op, nn.ArgMax)
    kind = "ArgMin" if op.smallest else "ArgMax"
    operand, _ = site.movable(op.input, _ORDER)
    found = site.node(kind, [operand], axis=op.axis, keepdims=int(op.keep_dims))
    if op.element.dtype is not DType.I64:
        found = site.node("Cast", [found], to=TensorProto.INT32)
    site.writer.define_codes(site.result, found, _ORDER)


def _amounts(padding: tuple[int, ...], site: Site) -> str:
    """Return what is added before all axes, then what is added behind them."""
    return _integers("pads", (*padding[::2], *padding[1::2]), site)


def _integers(name: str, numbers: object, site: Site) -> str:
    return site.writer.initializer(name, np.asarray(numbers, np.int64))
