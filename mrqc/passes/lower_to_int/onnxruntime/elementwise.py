"""QLinearAdd, QLinearMul and other functions of two 8-bit codes: each is a table."""

from __future__ import annotations

from enum import Enum

import numpy as np

from mrqc.ir.op import Op, Value
from mrqc.ir.quantization import Quantization
from mrqc.numerics import fused_multiply_add
from mrqc.numerics.float32 import Single
from mrqc.ops import int as int_ops
from mrqc.ops import nn
from mrqc.passes.lower_to_int.onnxruntime.rules import ONNXRUNTIME_LOWERINGS
from mrqc.passes.lower_to_int.onnxruntime.single import (
    all_codes,
    byte_quantization,
    dequantized_codes,
    emit_table,
    quantization_of,
    quantized,
)
from mrqc.passes.lower_to_int.rules import Site


class Spans(Enum):
    """How the runtime walks over two tensors: its kernels treat a lone element as a constant."""

    BOTH = "both"
    LONE_LHS = "lone lhs"
    LONE_RHS = "lone rhs"


@ONNXRUNTIME_LOWERINGS.register(nn.Add)
def lower_add(op: Op, site: Site) -> Value:
    """``a * ra + (b * rb + rest)`` with fused products, where ra and rb are ratios of scales."""
    assert isinstance(op, nn.Add)
    first, second = byte_quantization(op.lhs), byte_quantization(op.rhs)
    sums = _sums(op, first, second, quantization_of(op.element))
    minimum, maximum = site.limits(op.element, op.clamp)
    # The runtime adds the zero point first and saturates last.
    codes = np.clip(np.rint(sums), minimum, maximum).astype(np.int32)
    return site.emit(int_ops.PairTable(op.lhs, op.rhs, emit_table(codes, op.element, site), op.element))


def _sums(op: nn.Add, first: Quantization, second: Quantization, result: Quantization) -> Single:
    """Return what is rounded for each pair of codes."""
    left = np.float32(first.scale) / np.float32(result.scale)
    right = np.float32(second.scale) / np.float32(result.scale)
    shift = fused_multiply_add(left, first.zero_point, right * np.float32(second.zero_point))
    rest = np.float32(result.zero_point) - shift
    lhs = all_codes(op.lhs.type.dtype).astype(np.float32)[:, None]
    rhs = all_codes(op.rhs.type.dtype).astype(np.float32)[None, :]
    match spans_of(op.lhs, op.rhs):
        case Spans.LONE_LHS:
            return fused_multiply_add(rhs, right, fused_multiply_add(lhs, left, rest))
        case Spans.LONE_RHS:
            return fused_multiply_add(lhs, left, fused_multiply_add(rhs, right, rest))
        case Spans.BOTH:
            return fused_multiply_add(lhs, left, fused_multiply_add(rhs, right, rest))


def spans_of(lhs: Value, rhs: Value) -> Spans:
    """Return whether the runtime meets one operand as a lone element at a time.

    It does where the innermost axis on which the shapes differ, and all within it, hold one element on one side. The
    runtime sees images as NCHW.
    """
    left, right = _as_the_runtime_sees(lhs), _as_the_runtime_sees(rhs)
    rank = max(len(left), len(right))
    left, right = (1,) * (rank - len(left)) + left, (1,) * (rank - len(right)) + right
    for first, second in zip(reversed(left), reversed(right), strict=True):
        if first == second == 1:
            continue
        if first == second:
            return Spans.BOTH
        return Spans.LONE_LHS if first == 1 else Spans.LONE_RHS
    return Spans.BOTH


def _as_the_runtime_sees(value: Value) -> tuple[int, ...]:
    shape = value.type.shape
    return (shape[0], shape[3], shape[1], shape[2]) if len(shape) == 4 else shape


@ONNXRUNTIME_LOWERINGS.register(nn.Mul)
def lower_mul(op: Op, site: Site) -> Value:
    """The product of the codes without their zero points, times one factor, then the zero point of the result."""
    assert isinstance(op, nn.Mul)
    first, second, result = byte_quantization(op.lhs), byte_quantization(op.rhs), quantization_of(op.element)
    factor = np.float32(first.scale) * np.float32(second.scale) / np.float32(result.scale)
    lhs = all_codes(op.lhs.type.dtype)[:, None] - first.zero_point
    rhs = all_codes(op.rhs.type.dtype)[None, :] - second.zero_point
    units = (lhs * rhs).astype(np.float32) * factor + np.float32(result.zero_point)
    codes = np.clip(np.rint(units), *site.limits(op.element, op.clamp)).astype(np.int32)
    return site.emit(int_ops.PairTable(op.lhs, op.rhs, emit_table(codes, op.element, site), op.element))


@ONNXRUNTIME_LOWERINGS.register(nn.Sub, nn.Maximum, nn.Minimum)
def lower_over_reals(op: Op, site: Site) -> Value:
    """There is no kernel on codes: the runtime dequantizes, computes in floats and quantizes."""
    assert isinstance(op, nn.Sub | nn.Maximum | nn.Minimum)
    lhs, rhs = dequantized_codes(op.lhs)[:, None], dequantized_codes(op.rhs)[None, :]
    match op:
        case nn.Sub():
            reals = np.clip(lhs - rhs, np.float32(op.clamp[0]), np.float32(op.clamp[1]))
        case nn.Maximum():
            reals = np.maximum(lhs, rhs)
        case nn.Minimum():
            reals = np.minimum(lhs, rhs)
    codes = quantized(reals, op.element, site.limits(op.element))
    return site.emit(int_ops.PairTable(op.lhs, op.rhs, emit_table(codes, op.element, site), op.element))


@ONNXRUNTIME_LOWERINGS.register(nn.Prelu)
def lower_prelu(op: Op, site: Site) -> Value:
    """Over the real values: those that are not positive, times the slope."""
    assert isinstance(op, nn.Prelu)
    reals, slopes = dequantized_codes(op.input)[:, None], dequantized_codes(op.slope)[None, :]
    codes = quantized(np.where(reals > 0, reals, reals * slopes), op.element, site.limits(op.element))
    return site.emit(int_ops.PairTable(op.input, op.slope, emit_table(codes, op.element, site), op.element))
