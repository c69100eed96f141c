"""``int.conv2d``, ``int.transpose_conv2d`` and ``int.fully_connected``."""

from __future__ import annotations

import numpy as np

from mrqc.backends.interpreter import Array, Kernel
from mrqc.backends.simulator.requantize import Requantizer
from mrqc.backends.simulator.rules import RULES, Facts
from mrqc.numerics import Convolution, TransposedConvolution, accumulation_dtype, exact_matmul
from mrqc.ops.int import BatchMatMul, Conv2D, FullyConnected, TransposeConv2D
from mrqc.ops.window import Window


@RULES.register(Conv2D, TransposeConv2D)
def conv2d(op: Conv2D | TransposeConv2D, facts: Facts) -> Kernel:
    """Return the kernel of a convolution, or of a transposed one; constant weights are prepared here."""
    _, height, width, _ = op.input.type.shape
    dtype = accumulation_dtype(facts.bound)
    requantize = Requantizer(op.requantize, facts.bound, op.element.dtype)

    sums = Convolution if isinstance(op, Conv2D) else TransposedConvolution

    def prepare(weight: Array) -> Convolution | TransposedConvolution:
        weights = _centred(weight, op.weight_zero_point)
        return sums(weights, op.window, (height, width), op.groups, dtype, op.input_zero_point)

    known = facts.known.get(op.weight)
    prepared = None if known is None else prepare(known)

    def kernel(images: Array, weight: Array, bias: Array | None = None) -> Array:
        return _convolve(prepared or prepare(weight), images, bias, requantize, op.element.dtype.numpy)

    return kernel


@RULES.register(FullyConnected)
def fully_connected(op: FullyConnected, facts: Facts) -> Kernel:
    """Return the kernel of a fully connected layer: a convolution of images with one pixel."""
    dtype = accumulation_dtype(facts.bound)
    requantize = Requantizer(op.requantize, facts.bound, op.element.dtype)

    def prepare(weight: Array) -> Convolution:
        weights = _centred(weight, op.weight_zero_point)[:, None, None, :]
        return Convolution(weights, Window((1, 1)), (1, 1), 1, dtype, op.input_zero_point)

    known = facts.known.get(op.weight)
    prepared = None if known is None else prepare(known)

    def kernel(rows: Array, weight: Array, bias: Array | None = None) -> Array:
        images = rows[:, None, None, :]
        codes = _convolve(prepared or prepare(weight), images, bias, requantize, op.element.dtype.numpy)
        return codes[:, 0, 0, :]

    return kernel


@RULES.register(BatchMatMul)
def batch_matmul(op: BatchMatMul, facts: Facts) -> Kernel:
    """Return the kernel of matrix products of two activations."""
    requantize = Requantizer(op.requantize, facts.bound, op.element.dtype)

    def kernel(lhs: Array, rhs: Array) -> Array:
        left = lhs.astype(np.int32) - op.lhs_zero_point
        right = rhs.astype(np.int32) - op.rhs_zero_point
        left = left.swapaxes(-1, -2) if op.adjoint_lhs else left
        right = right.swapaxes(-1, -2) if op.adjoint_rhs else right
        return requantize(exact_matmul(left, right, facts.bound))

    return kernel


def _centred(codes: Array, zero_point: int) -> Array:
    """Return codes of 8 bits less a zero point, exactly."""
    return codes.astype(np.int16) - np.int16(zero_point) if zero_point else codes


def _convolve(
    convolution: Convolution | TransposedConvolution,
    images: Array,
    bias: Array | None,
    requantize: Requantizer,
    dtype: np.dtype[np.generic],
) -> Array:
    codes = np.empty((images.shape[0], *convolution.output_size), dtype)
    for where, sums in convolution.blocks(images):
        if bias is not None:
            # In the dtype of the sums, in which the bound holds with the bias too.
            sums += bias.astype(sums.dtype)
        codes[where] = requantize(sums)
    return codes
