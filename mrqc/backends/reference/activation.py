"""Functions of one tensor."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np

from mrqc.backends.interpreter import Array, Kernel
from mrqc.backends.reference.grid import Grid, Real, real_values
from mrqc.backends.reference.rules import RULES
from mrqc.ir import Value
from mrqc.ops.nn import (
    Abs,
    Clip,
    Elu,
    Exp,
    Gelu,
    HardSigmoid,
    HardSwish,
    LeakyRelu,
    Log,
    LogSoftmax,
    Rsqrt,
    Sigmoid,
    Softmax,
    Sqrt,
    Tanh,
)


@RULES.register(Clip)
def clip(op: Clip, _: Mapping[Value, Array]) -> Kernel:
    """Return the kernel of a clip."""
    grid = Grid(op.element, op.input.type.rank, op.clamp)

    def kernel(array: Array) -> Array:
        return grid.encode(grid.units_of(array, op.input.type))

    return kernel


Function: TypeAlias = Callable[[Real], Real]
_Activation: TypeAlias = LeakyRelu | Elu | Sigmoid | Tanh | HardSwish | HardSigmoid | Gelu
_Elementary: TypeAlias = Abs | Exp | Log | Sqrt | Rsqrt
_Unary: TypeAlias = _Activation | _Elementary


def real_function(op: _Unary) -> Function:
    """Return what the op computes of real numbers."""
    return _elementary(op) if isinstance(op, Abs | Exp | Log | Sqrt | Rsqrt) else _activation(op)


def _elementary(op: _Elementary) -> Function:
    match op:
        case Abs():
            return np.abs
        case Exp():
            return np.exp
        case Log():
            return lambda x: np.log(np.maximum(x, 0.0))
        case Sqrt():
            return lambda x: np.sqrt(np.maximum(x, 0.0))
        case Rsqrt():
            return lambda x: 1.0 / np.sqrt(np.maximum(x, 0.0))


def _activation(op: _Activation) -> Function:
    match op:
        case LeakyRelu(alpha=alpha):
            return lambda x: np.where(x < 0, alpha * x, x)
        case Elu(alpha=alpha):
            return lambda x: np.where(x < 0, alpha * np.expm1(np.minimum(x, 0.0)), x)
        case Sigmoid():
            # Half the hyperbolic tangent of half the number: no exponential overflows.
            return lambda x: 0.5 + 0.5 * np.tanh(0.5 * x)
        case Tanh():
            return np.tanh
        case HardSwish():
            return lambda x: x * np.clip(x + 3.0, 0.0, 6.0) / 6.0
        case HardSigmoid(alpha=alpha, beta=beta):
            return lambda x: np.clip(alpha * x + beta, 0.0, 1.0)
        case Gelu(approximate=True):
            return lambda x: 0.5 * x * (1.0 + np.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3)))
        case Gelu():
            # The complement keeps its digits far below zero.
            return lambda x: 0.5 * x * _complementary_error(-math.sqrt(0.5) * x)


def _complementary_error(x: Real) -> Real:
    return np.fromiter(map(math.erfc, x.reshape(-1).tolist()), np.float64, x.size).reshape(x.shape)


@RULES.register(LeakyRelu, Elu, Sigmoid, Tanh, HardSwish, HardSigmoid, Gelu, Abs, Exp, Log, Sqrt, Rsqrt)
def function(op: _Unary, _: Mapping[Value, Array]) -> Kernel:
    """Return the kernel of a function of one number."""
    grid = Grid(op.element, op.input.type.rank)
    apply = real_function(op)

    def kernel(array: Array) -> Array:
        # Infinite is what saturates: an exponential, the logarithm of zero.
        with np.errstate(over="ignore", divide="ignore"):
            return grid.encode(apply(real_values(array, op.input.type)) / grid.unit)

    return kernel


@RULES.register(LogSoftmax)
def log_softmax(op: LogSoftmax, _: Mapping[Value, Array]) -> Kernel:
    """Return the kernel of the logarithm of a softmax along the last axis."""
    grid = Grid(op.element, op.input.type.rank)

    def kernel(array: Array) -> Array:
        reals = real_values(array, op.input.type)
        reals = reals - reals.max(axis=-1, keepdims=True)
        return grid.encode((reals - np.log(np.exp(reals).sum(axis=-1, keepdims=True))) / grid.unit)

    return kernel


@RULES.register(Softmax)
def softmax(op: Softmax, _: Mapping[Value, Array]) -> Kernel:
    """Return the kernel of a softmax along the last axis."""
    grid = Grid(op.element, op.input.type.rank)

    def kernel(array: Array) -> Array:
        reals = op.beta * real_values(array, op.input.type)
        exponentials = np.exp(reals - reals.max(axis=-1, keepdims=True))
        shares = exponentials / exponentials.sum(axis=-1, keepdims=True)
        return grid.encode(shares / grid.unit)

    return kernel
