"""``int.rescale``, ``int.double_rescale`` and ``int.relabel``."""

from __future__ import annotations

import numpy as np

from mrqc.backends.interpreter import Array, Kernel
from mrqc.backends.simulator.requantize import Requantizer
from mrqc.backends.simulator.rules import RULES, Facts
from mrqc.ops.int import DoubleRescale, Relabel, Rescale


@RULES.register(Rescale)
def rescale(op: Rescale, facts: Facts) -> Kernel:
    """Return the kernel of a change of quantization."""
    requantize = Requantizer(op.requantize, facts.bound, op.element.dtype)

    def kernel(codes: Array) -> Array:
        flat = codes.reshape(-1)

        def accumulate(chunk: slice) -> Array:
            # Activations have at most 16 bits: the difference fits 32.
            return flat[chunk].astype(np.int32) - op.input_zero_point

        return requantize.chunks(codes.shape, accumulate)

    return kernel


@RULES.register(DoubleRescale)
def double_rescale(op: DoubleRescale, _: Facts) -> Kernel:
    """Return the kernel of a change of scale in double precision, where every step but the product is exact."""
    scales = np.asarray(op.scales, np.float64)
    low, high = op.minimum - op.zero_point, op.maximum - op.zero_point

    def kernel(sums: Array) -> Array:
        products = np.clip(sums * scales, low - 1, high + 1)
        whole = np.trunc(products)
        whole += np.where(np.abs(products - whole) >= 0.5, np.sign(products), 0.0)
        return (np.clip(whole, low, high) + op.zero_point).astype(op.element.dtype.numpy)

    return kernel


@RULES.register(Relabel)
def relabel(_: Relabel, __: Facts) -> Kernel:
    """Return the kernel that leaves codes alone."""

    def kernel(codes: Array) -> Array:
        return codes

    return kernel
