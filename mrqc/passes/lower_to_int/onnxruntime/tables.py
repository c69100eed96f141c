"""Functions of one code: the runtime dequantizes, computes and quantizes, all of it known beforehand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mrqc.backends.reference.activation import real_function
from mrqc.ir.op import Op, Value
from mrqc.ir.types import Element
from mrqc.numerics.float32 import Single
from mrqc.ops import int as int_ops
from mrqc.ops import nn
from mrqc.passes.lower_to_int.onnxruntime.rules import ONNXRUNTIME_LOWERINGS
from mrqc.passes.lower_to_int.onnxruntime.single import all_codes, dequantized_codes, emit_table, quantized
from mrqc.passes.lower_to_int.rules import Site


def looked_up(
    value: Value, element: Element, site: Site, function: Callable[[Single], Single], limits: tuple[int, int]
) -> Value:
    """Return a function of ``value`` in the codes of ``element``, or the value itself where no code changes."""
    codes = quantized(function(dequantized_codes(value)), element, limits)
    if value.type.element == element and np.array_equal(codes, all_codes(element.dtype)):
        return value
    return site.emit(int_ops.Table(value, emit_table(codes, element, site), element))


def _same(reals: Single) -> Single:
    return reals


@ONNXRUNTIME_LOWERINGS.register(nn.Quantize)
def lower_quantize(op: Op, site: Site) -> Value:
    """From one scale to another, over the real values."""
    assert isinstance(op, nn.Quantize)
    return looked_up(op.input, op.element, site, _same, site.limits(op.element))


@ONNXRUNTIME_LOWERINGS.register(nn.Concat)
def lower_concat(op: Op, site: Site) -> Value:
    """Each operand at the scale of the result."""
    assert isinstance(op, nn.Concat)
    limits = site.limits(op.element)
    inputs = tuple(looked_up(value, op.element, site, _same, limits) for value in op.inputs)
    return site.emit(int_ops.Concat(inputs, op.axis, op.element))


@ONNXRUNTIME_LOWERINGS.register(nn.Clip)
def lower_clip(op: Op, site: Site) -> Value:
    """Over the real values."""
    assert isinstance(op, nn.Clip)
    low, high = (np.float32(bound) for bound in op.clamp)

    def clip(reals: Single) -> Single:
        return np.clip(reals, low, high)

    return looked_up(op.input, op.element, site, clip, site.limits(op.element))


@ONNXRUNTIME_LOWERINGS.register(nn.LeakyRelu)
def lower_leaky_relu(op: Op, site: Site) -> Value:
    """Negative values times alpha."""
    assert isinstance(op, nn.LeakyRelu)
    alpha = np.float32(op.alpha)

    def leaky_relu(reals: Single) -> Single:
        return np.where(reals >= 0, reals, alpha * reals)

    return looked_up(op.input, op.element, site, leaky_relu, site.limits(op.element))


@ONNXRUNTIME_LOWERINGS.register(nn.Gelu, nn.Abs, nn.Exp, nn.Log, nn.Sqrt, nn.Rsqrt)
def lower_elementary(op: Op, site: Site) -> Value:
    """The function rounded to single precision; the runtime's own may differ in the last bit of that."""
    assert isinstance(op, nn.Gelu | nn.Abs | nn.Exp | nn.Log | nn.Sqrt | nn.Rsqrt)
    apply = real_function(op)

    def function(reals: Single) -> Single:
        with np.errstate(over="ignore", divide="ignore"):
            return apply(reals.astype(np.float64)).astype(np.float32)

    return looked_up(op.input, op.element, site, function, site.limits(op.element))


@ONNXRUNTIME_LOWERINGS.register(nn.Sigmoid, nn.Tanh, nn.Elu, nn.HardSwish, nn.HardSigmoid)
def lower_function(op: Op, site: Site) -> Value:
    """The function rounded to single precision; the runtime's own may differ in the last bit of that."""
    assert isinstance(op, nn.Sigmoid | nn.Tanh | nn.Elu | nn.HardSwish | nn.HardSigmoid)

    def function(reals: Single) -> Single:
        return _function(op, reals.astype(np.float64)).astype(np.float32)

    return looked_up(op.input, op.element, site, function, site.limits(op.element))


def _function(
    op: nn.Sigmoid | nn.Tanh | nn.Elu | nn.HardSwish | nn.HardSigmoid, reals: NDArray[np.float64]
) -> NDArray[np.float64]:
    match op:
        case nn.Sigmoid():
            # Where the exponential overflows, its reciprocal is zero.
            with np.errstate(over="ignore"):
                return 1.0 / (1.0 + np.exp(-reals))
        case nn.Tanh():
            return np.tanh(reals)
        case nn.Elu():
            return np.where(reals > 0, reals, op.alpha * np.expm1(np.minimum(reals, 0)))
        case nn.HardSwish():
            return reals * np.clip(reals + 3, 0, 6) / 6
        case nn.HardSigmoid():
            return np.clip(op.alpha * reals + op.beta, 0, 1)
