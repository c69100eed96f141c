"""Clips, functions of one code, and softmax."""

from __future__ import annotations

import numpy as np

from mrqc.backends.reference.rules import RULES as REFERENCE_RULES
from mrqc.errors import RefusalError
from mrqc.ir.data import Data
from mrqc.ir.dtype import DType
from mrqc.ir.op import Op, Value
from mrqc.ir.types import Element
from mrqc.ops import int as int_ops
from mrqc.ops import nn
from mrqc.ops.int.activation import INTERPOLATED_SOFTMAX_DEPTH
from mrqc.passes.lower_to_int.interpolated_softmax import ARGUMENT_UNIT, interpolated_softmax
from mrqc.passes.lower_to_int.rules import LOWERINGS, Site, per_tensor, result_scale

_TABLE_BITS = 23
"""Greatest exponent of the softmax table: e * one stays below 2**31 for one <= 256."""


@LOWERINGS.register(nn.Clip)
def lower_clip(op: Op, site: Site) -> Value:
    """A clamp of codes."""
    assert isinstance(op, nn.Clip)
    per_tensor(op.input)
    if op.element != op.input.type.element:
        raise RefusalError("a clip cannot change the scale", "run the pass 'requantize' first")
    return clamped(op.input, op.clamp, site)


def clamped(value: Value, clamp: tuple[float, float], site: Site) -> Value:
    """Return ``value`` behind a clamp of codes, or itself where the clamp cuts nothing off."""
    low, high = site.limits(value.type.element, clamp)
    if (low, high) == site.limits(value.type.element):
        return value
    return site.emit(int_ops.Clamp(value, low, high))


@LOWERINGS.register(
    nn.LeakyRelu,
    nn.Elu,
    nn.Sigmoid,
    nn.Tanh,
    nn.HardSwish,
    nn.HardSigmoid,
    nn.Gelu,
    nn.Abs,
    nn.Exp,
    nn.Log,
    nn.Sqrt,
    nn.Rsqrt,
)
def lower_function(op: Op, site: Site) -> Value:
    """A table of the reference's result for every code: 256 entries, or 65536 for 16-bit codes."""
    (operand,) = op.operands
    per_tensor(operand)
    (type_,) = op.infer()
    result_scale(type_.element)
    dtype = operand.type.dtype
    if dtype.bytes > 2:
        raise RefusalError(f"a table of a function of {dtype} codes would be too large")
    every_code = np.arange(dtype.minimum, dtype.maximum + 1).astype(dtype.numpy)
    entries = np.clip(REFERENCE_RULES[type(op)](op, {})(every_code), *site.limits(type_.element))
    # The reference gives the result as many axes as the operand has.
    data = Data.of(entries.reshape(-1).astype(np.int64), type_.dtype)
    table = site.emit(int_ops.Constant(data, Element(type_.dtype)))
    return site.emit(int_ops.Table(operand, table, type_.element))


@LOWERINGS.register(nn.LogSoftmax)
def lower_log_softmax(op: Op, site: Site) -> Value:
    """Refuse: there is no logarithm."""
    del op
    raise RefusalError(f"a log-softmax has no integer form on {site.target.name}", "end the model in front of it")


@LOWERINGS.register(nn.Softmax)
def lower_softmax(op: Op, site: Site) -> Value:
    """A table of exponentials and an integer division; 16-bit codes are read between the entries of tables."""
    assert isinstance(op, nn.Softmax)
    if op.input.type.dtype is DType.I16:
        return _wide_softmax(op, site)
    scale = op.beta * per_tensor(op.input).scale
    one = round(1.0 / result_scale(op.element))
    if abs(one * result_scale(op.element) - 1.0) > 1e-3 or not 1 <= one <= 256:
        raise RefusalError(f"the result's scale is {result_scale(op.element):.6g}; it must be 1/n with n up to 256")
    # The sum of a row stays below 2**31, so that e * one plus half of it stays below 2**32.
    bits = min(_TABLE_BITS, 31 - (op.input.type.shape[-1] - 1).bit_length())
    if bits < 8:
        raise RefusalError(f"a softmax over {op.input.type.shape[-1]} elements; at most 2^23 are possible")
    exponentials = np.rint(np.ldexp(np.exp(-scale * np.arange(256)), bits))
    table = site.emit(int_ops.Constant(Data.of(exponentials.astype(np.int64), DType.I32), Element(DType.I32)))
    quantization = op.element.quantization
    assert quantization is not None
    low, high = site.limits(op.element)
    return site.emit(int_ops.Softmax(op.input, table, one, quantization.zero_point, low, high, op.element))


def _wide_softmax(op: nn.Softmax, site: Site) -> Value:
    """Return the softmax of 16-bit codes, which has one result scale."""
    source = per_tensor(op.input)
    if op.element != Element.per_tensor(DType.I16, 2.0**-15) or not source.is_symmetric:
        raise RefusalError("a softmax of i16 codes has zero points of 0 and results in i16 codes of scale 2^-15")
    if op.input.type.shape[-1] > INTERPOLATED_SOFTMAX_DEPTH:
        raise RefusalError(f"a softmax over {op.input.type.shape[-1]} elements; i16 codes have one of 65535")
    arithmetic = site.arithmetic(int_ops.InterpolatedSoftmax.mnemonic)
    factor = arithmetic.factor(source.scale * op.beta / ARGUMENT_UNIT)
    return interpolated_softmax(op, factor, arithmetic.rounding, site)
