"""``int.clamp``, ``int.table`` and the softmaxes."""

from __future__ import annotations

import numpy as np

from mrqc.backends.interpreter import Array, Kernel
from mrqc.backends.simulator.rules import RULES, Facts
from mrqc.numerics import divide_by_power_of_two
from mrqc.numerics.q31 import leading_bit, logarithm_q5, multiply_q31, reciprocal_of_one_plus, shift_rounding
from mrqc.ops.int import Clamp, InterpolatedSoftmax, LogSoftmax, ReciprocalSoftmax, Softmax, Table


@RULES.register(Clamp)
def clamp(op: Clamp, _: Facts) -> Kernel:
    """Return the kernel of a clamp."""

    def kernel(codes: Array) -> Array:
        return np.clip(codes, op.minimum, op.maximum)

    return kernel


@RULES.register(Softmax)
def softmax(op: Softmax, _: Facts) -> Kernel:
    """Return the kernel of a softmax by table and integer division, in 64 bits."""
    dtype = op.element.dtype.numpy

    def kernel(codes: Array, table: Array) -> Array:
        distances = codes.max(axis=-1, keepdims=True).astype(np.int64) - codes
        exponentials = table.astype(np.int64)[distances]
        totals = exponentials.sum(axis=-1, keepdims=True)
        shares = (exponentials * op.one + totals // 2) // totals
        return np.clip(shares + op.zero_point, op.minimum, op.maximum).astype(dtype)

    return kernel


@RULES.register(Table)
def table(op: Table, _: Facts) -> Kernel:
    """Return the kernel of a table of all codes."""
    least = op.input.type.dtype.minimum

    def kernel(codes: Array, entries: Array) -> Array:
        return entries[codes.astype(np.int32) - least]

    return kernel


@RULES.register(ReciprocalSoftmax)
def reciprocal_softmax(op: ReciprocalSoftmax, _: Facts) -> Kernel:
    """Return the kernel of a softmax by table and fixed-point reciprocal."""
    dtype = op.element.dtype

    def kernel(codes: Array, table: Array) -> Array:
        distances = codes.max(axis=-1, keepdims=True).astype(np.int64) - codes
        exponentials = table.astype(np.int64)[distances]
        totals = shift_rounding(exponentials, 12).sum(axis=-1, keepdims=True)
        # The sum is normalised to 1 + x with x from 0 to 1: Q12.19 has its one at bit 19.
        position = leading_bit(totals)
        reciprocals = reciprocal_of_one_plus((totals << (31 - position)) - (1 << 31))
        shares = multiply_q31(exponentials, reciprocals)
        results = shift_rounding(shares, position - 19 + 31 - 8 * dtype.bytes) + dtype.minimum
        return np.clip(results, dtype.minimum, dtype.maximum).astype(dtype.numpy)

    return kernel


@RULES.register(LogSoftmax)
def log_softmax(op: LogSoftmax, _: Facts) -> Kernel:
    """Return the kernel of a logarithm of a softmax in fixed point."""
    dtype = op.element.dtype

    def kernel(codes: Array, differences: Array, exponentials: Array) -> Array:
        distances = codes.max(axis=-1, keepdims=True).astype(np.int64) - codes
        totals = shift_rounding(exponentials.astype(np.int64)[distances], 12).sum(axis=-1, keepdims=True)
        logarithms = logarithm_q5(totals)
        farthest = divide_by_power_of_two((logarithms - (1 << 31)) * op.multiplier, op.shift, op.rounding)
        results = shift_rounding(differences.astype(np.int64)[distances] - logarithms, 22) + dtype.maximum
        results = np.clip(results, dtype.minimum, dtype.maximum)
        is_near = -distances > np.maximum(farthest, -op.radius - 1)
        return np.where(is_near, results, dtype.minimum).astype(dtype.numpy)

    return kernel


@RULES.register(InterpolatedSoftmax)
def interpolated_softmax(op: InterpolatedSoftmax, _: Facts) -> Kernel:
    """Return the kernel of a softmax of 16-bit codes."""
    greatest = (1 << 15) - 1

    def kernel(codes: Array, exponentials: Array, reciprocals: Array) -> Array:
        distances = codes.astype(np.int64) - codes.max(axis=-1, keepdims=True)
        places = divide_by_power_of_two(distances * op.multiplier, op.shift, op.rounding) + greatest
        powers = interpolated(exponentials, places)
        totals = powers.sum(axis=-1, keepdims=True)
        # The sum is normalised to 1 + x; x from 0 to 1 is centred, as the table is.
        position = leading_bit(totals)
        fractions = ((totals << (30 - position)) + (1 << 13)) >> 14
        scales = interpolated(reciprocals, fractions - (1 << 15) - (1 << 16))
        results = (powers * scales + (1 << (position - 1))) >> position
        return np.clip(results, 0, greatest).astype(np.int16)

    return kernel


def interpolated(table: Array, places: Array) -> Array:
    """Return what a table of 513 entries gives at 16-bit numbers, saturated, by their upper nine bits and a slope."""
    places = np.clip(places, -(1 << 15), (1 << 15) - 1)
    entries = table.astype(np.int64)
    indices = 256 + (places >> 7)
    base = entries[indices]
    return base + (((entries[indices + 1] - base) * (places & 127) + 64) >> 7)
