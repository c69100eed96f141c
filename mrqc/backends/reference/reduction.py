"""``nn.mean``, ``nn.sum`` and ``nn.arg_max``."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mrqc.backends.interpreter import Array, Kernel
from mrqc.backends.reference.grid import Grid, Real, integer_operand, real_values
from mrqc.backends.reference.rules import RULES
from mrqc.ir import Value
from mrqc.ops.nn import ArgMax, Mean, Sum


@RULES.register(Mean, Sum)
def reduction(op: Mean | Sum, _: Mapping[Value, Array]) -> Kernel:
    """Return the kernel of a mean or sum: exact integer sums where one scale serves the tensor."""
    grid = Grid(op.element, op.infer()[0].rank)
    integers = integer_operand(op.input.type.element)
    divisor = op.count if isinstance(op, Mean) else 1

    def sums_in_units(array: Array) -> Real:
        if integers is None:
            reals = real_values(array, op.input.type)
            return reals.sum(axis=op.axes, keepdims=op.keep_dims) / grid.unit
        sums = array.sum(axis=op.axes, keepdims=op.keep_dims, dtype=np.int64) - integers.zero_point * op.count
        return sums * (integers.scale / grid.unit)

    def kernel(array: Array) -> Array:
        units = np.asarray(sums_in_units(array) / divisor)
        return grid.encode(np.atleast_1d(units)).reshape(units.shape)

    return kernel


@RULES.register(ArgMax)
def arg_max(op: ArgMax, _: Mapping[Value, Array]) -> Kernel:
    """Return the kernel that finds the greatest or least element; as scales are positive, codes say it."""
    dtype = op.element.dtype.numpy
    find = np.argmin if op.smallest else np.argmax

    def kernel(array: Array) -> Array:
        return np.asarray(find(array, axis=op.axis, keepdims=op.keep_dims)).astype(dtype)

    return kernel
