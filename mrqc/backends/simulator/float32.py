"""Ops that work in single precision: every numpy operation here is one rounding of the runtime's."""

from __future__ import annotations

import numpy as np

from mrqc.backends.interpreter import Array, Kernel
from mrqc.backends.simulator.requantize import CHUNK_ELEMENTS
from mrqc.backends.simulator.rules import RULES, Facts
from mrqc.numerics import clamped_codes, window_counts
from mrqc.ops.int import (
    FloatAveragePool2D,
    FloatInterpolation,
    FloatRescale,
    FloatResizeBilinear,
    FloatSoftmax,
    PairTable,
)


@RULES.register(FloatRescale)
def float_rescale(op: FloatRescale, _: Facts) -> Kernel:
    """Return the kernel of a change of scale, a chunk of rows at a time."""
    scales = np.asarray(op.scales, np.float32)
    dtype = op.element.dtype.numpy

    def kernel(sums: Array) -> Array:
        codes = np.empty(sums.shape, dtype)
        channels = sums.shape[-1] if sums.ndim else 1
        rows, results = sums.reshape(-1, channels), codes.reshape(-1, channels)
        step = max(1, CHUNK_ELEMENTS // channels)
        for start in range(0, rows.shape[0], step):
            chunk = slice(start, start + step)
            products = rows[chunk].astype(np.float32) * scales
            results[chunk] = clamped_codes(products, op.zero_point, op.minimum, op.maximum)
        return codes

    return kernel


@RULES.register(PairTable)
def pair_table(op: PairTable, _: Facts) -> Kernel:
    """Return the kernel of a function of two codes."""
    least_lhs, least_rhs = op.lhs.type.dtype.minimum, op.rhs.type.dtype.minimum

    def kernel(lhs: Array, rhs: Array, table: Array) -> Array:
        row = (lhs.astype(np.int32) - least_lhs) * 256
        return table.reshape(-1)[row + (rhs.astype(np.int32) - least_rhs)]

    return kernel


@RULES.register(FloatSoftmax)
def float_softmax(op: FloatSoftmax, _: Facts) -> Kernel:
    """Return the kernel of a softmax; the sum runs from the first element to the last."""
    dtype = op.element.dtype.numpy

    def kernel(codes: Array, table: Array) -> Array:
        distances = codes.max(axis=-1, keepdims=True).astype(np.int32) - codes
        exponentials = table[255 - distances]
        # An accumulation adds one by one, which a plain sum of numpy does not.
        totals = np.add.accumulate(exponentials, axis=-1, dtype=np.float32)[..., -1:]
        shares = np.rint(exponentials * np.float32(op.one) / totals).astype(np.int32) + op.zero_point
        return np.clip(shares, op.minimum, op.maximum).astype(dtype)

    return kernel


@RULES.register(FloatAveragePool2D)
def float_average_pool2d(op: FloatAveragePool2D, _: Facts) -> Kernel:
    """Return the kernel of an average pool: one addition for each tap, in the order of the window."""
    height, width = op.input.type.shape[1:3]
    counts = window_counts(op.window, height, width)[None, :, :, None].astype(np.float32)
    if op.count_include_pad:
        counts = np.full_like(counts, op.kernel[0] * op.kernel[1])
    least, dtype = op.input.type.dtype.minimum, op.element.dtype.numpy
    (rows, columns), (down, across) = op.window.output_size(height, width), op.strides
    top, left, bottom, right = op.padding

    def kernel(codes: Array, table: Array) -> Array:
        reals = np.pad(table[codes.astype(np.int32) - least], ((0, 0), (top, bottom), (left, right), (0, 0)))
        sums = np.zeros((codes.shape[0], rows, columns, codes.shape[3]), np.float32)
        for row in range(op.kernel[0]):
            for column in range(op.kernel[1]):
                sums += reals[:, row : row + (rows - 1) * down + 1 : down, column:][
                    :, :, : (columns - 1) * across + 1 : across
                ]
        means = sums / counts
        results = np.rint(means / np.float32(op.scale) + np.float32(op.zero_point))
        return np.clip(results, op.minimum, op.maximum).astype(dtype)

    return kernel


@RULES.register(FloatResizeBilinear)
def float_resize_bilinear(op: FloatResizeBilinear, _: Facts) -> Kernel:
    """Return the kernel of an interpolation; products and sums in the order of the runtime."""
    limits = np.iinfo(op.input.type.dtype.numpy)
    rows, columns = _weights(op.rows, 1), _weights(op.columns, 2)

    def kernel(images: Array) -> Array:
        singles = images.astype(np.float32)
        total: Array | None = None
        for column, across in zip((op.columns.lower, op.columns.upper), columns, strict=True):
            for row, down in zip((op.rows.lower, op.rows.upper), rows, strict=True):
                term = singles[:, list(row)][:, :, list(column)] * down * across
                total = term if total is None else total + term
        assert total is not None
        return np.clip(np.floor(total + np.float32(0.5)), limits.min, limits.max).astype(limits.dtype)

    return kernel


def _weights(between: FloatInterpolation, axis: int) -> tuple[Array, Array]:
    """Return the weights of the first and of the second of each pair, shaped to lie along ``axis``."""
    second = np.asarray(between.weight, np.float32).reshape((-1,) + (1,) * (3 - axis))
    return np.float32(1) - second, second
