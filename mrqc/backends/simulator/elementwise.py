"""``int.add`` and its kin."""

from __future__ import annotations

import numpy as np

from mrqc.backends.interpreter import Array, Kernel
from mrqc.backends.simulator.requantize import Requantizer, accumulator_dtype
from mrqc.backends.simulator.rules import RULES, Facts
from mrqc.numerics import Rounding, divide_by_power_of_two
from mrqc.ops.int import Add, Maximum, Minimum, Mul, OperandScaling, Prelu, RescaledAdd


@RULES.register(Add)
def add(op: Add, facts: Facts) -> Kernel:
    """Return the kernel of an addition of two scaled operands."""
    dtype = accumulator_dtype(facts.bound)
    requantize = Requantizer(op.requantize, facts.bound, op.element.dtype)

    def kernel(lhs: Array, rhs: Array) -> Array:
        lhs, rhs = np.broadcast_arrays(lhs, rhs)
        flat_lhs, flat_rhs = lhs.reshape(-1), rhs.reshape(-1)

        def accumulate(chunk: slice) -> Array:
            total = flat_lhs[chunk].astype(dtype)
            total *= op.lhs_multiplier
            other = flat_rhs[chunk].astype(dtype)
            other *= op.rhs_multiplier
            total += other
            return total

        return requantize.chunks(lhs.shape, accumulate)

    return kernel


@RULES.register(RescaledAdd)
def rescaled_add(op: RescaledAdd, facts: Facts) -> Kernel:
    """Return the kernel of an addition of two operands that are rounded onto a common grid first."""
    requantize = Requantizer(op.requantize, facts.bound, op.element.dtype)
    rounding = op.requantize.rounding

    def kernel(lhs: Array, rhs: Array) -> Array:
        # Each operand is scaled before it is stretched over the other.
        total = scaled(lhs, op.lhs_scaling, rounding) + scaled(rhs, op.rhs_scaling, rounding)
        flat = total.reshape(-1)
        return requantize.chunks(total.shape, lambda chunk: flat[chunk])

    return kernel


def scaled(codes: Array, scaling: OperandScaling, rounding: Rounding) -> Array:
    """Return an operand on the common grid, in 64 bits."""
    centred = codes.astype(np.int64) - scaling.zero_point
    centred <<= scaling.left_shift
    centred *= scaling.multiplier
    return divide_by_power_of_two(centred, scaling.shift, rounding)


@RULES.register(Mul)
def mul(op: Mul, facts: Facts) -> Kernel:
    """Return the kernel of a product."""
    requantize = Requantizer(op.requantize, facts.bound, op.element.dtype)

    def kernel(lhs: Array, rhs: Array) -> Array:
        product = (lhs.astype(np.int64) - op.lhs_zero_point) * (rhs.astype(np.int64) - op.rhs_zero_point)
        flat = product.reshape(-1)
        return requantize.chunks(product.shape, lambda chunk: flat[chunk])

    return kernel


@RULES.register(Maximum)
def maximum(_: Maximum, __: Facts) -> Kernel:
    """Return the kernel of the greater code."""
    return np.maximum


@RULES.register(Minimum)
def minimum(_: Minimum, __: Facts) -> Kernel:
    """Return the kernel of the lesser code."""
    return np.minimum


@RULES.register(Prelu)
def prelu(op: Prelu, facts: Facts) -> Kernel:
    """Return the kernel of a PReLU."""
    negative = Requantizer(op.requantize, facts.bound, op.element.dtype)
    positive = Requantizer(op.positive, facts.bound, op.element.dtype)

    def kernel(codes: Array, slope: Array) -> Array:
        distances = codes.astype(np.int64) - op.input_zero_point
        products = distances * (slope.astype(np.int64) - op.slope_zero_point)
        return np.where(distances < 0, negative(products), positive(distances))

    return kernel
