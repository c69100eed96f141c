"""``int.clamp``, ``int.table`` and the softmaxes."""

from __future__ import annotations

import numpy as np

from mrqc.backends.interpreter import Array, Kernel
from mrqc.backends.simulator.rules import RULES, Facts
from mrqc.numerics.q31 import leading_bit, multiply_q31, reciprocal_of_one_plus, shift_rounding
from mrqc.ops.int import Clamp, ReciprocalSoftmax, Softmax, Table


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
