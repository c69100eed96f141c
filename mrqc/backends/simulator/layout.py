"""What moves codes."""

from __future__ import annotations

import numpy as np

from mrqc.backends.interpreter import Array, Kernel
from mrqc.backends.moves import padder, slicer, taker
from mrqc.backends.simulator.rules import RULES, Facts
from mrqc.ops.int import Concat, Pad, Reshape, Slice, Take, Transpose


@RULES.register(Reshape)
def reshape(op: Reshape, _: Facts) -> Kernel:
    """Return the kernel of a reshape."""
    # -1 takes the batches in; a scalar has none.
    shape = (-1, *op.shape[1:]) if op.shape else ()

    def kernel(codes: Array) -> Array:
        return codes.reshape(shape)

    return kernel


@RULES.register(Transpose)
def transpose(op: Transpose, _: Facts) -> Kernel:
    """Return the kernel of a transpose."""

    def kernel(codes: Array) -> Array:
        return np.ascontiguousarray(codes.transpose(op.permutation))

    return kernel


@RULES.register(Slice)
def slice_(op: Slice, _: Facts) -> Kernel:
    """Return the kernel of a slice."""
    return slicer(op)


@RULES.register(Take)
def take(op: Take, _: Facts) -> Kernel:
    """Return the kernel of a choice along one axis."""
    return taker(op.axis, op.indices)


@RULES.register(Pad)
def pad(op: Pad, _: Facts) -> Kernel:
    """Return the kernel of a padding with one code."""
    return padder(op.padding, op.code)


@RULES.register(Concat)
def concat(op: Concat, _: Facts) -> Kernel:
    """Return the kernel that puts arrays one behind the other."""

    def kernel(*arrays: Array) -> Array:
        return np.concatenate(arrays, axis=op.axis)

    return kernel
