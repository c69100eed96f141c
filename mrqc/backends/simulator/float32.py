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
    FloatMean2D,
    FloatRescale,
    FloatResizeBilinear,
    FloatSoftmax,
    PairTable,
    TableResizeBilinear,
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
    """Return the kernel of a softmax; the sum runs from the first element to the last, in single precision."""
    dtype = op.element.dtype.numpy

    def kernel(codes: Array, table: Array) -> Array:
        distances = codes.max(axis=-1, keepdims=True).astype(np.int32) - codes
        exponentials = table[255 - distances]
        # An accumulation adds one by one, which a plain sum of numpy does not.
        totals = np.add.accumulate(exponentials, axis=-1, dtype=np.float32)[..., -1:]
        quotients = exponentials.astype(np.float64) * op.one / totals.astype(np.float64)
        shares = np.rint(quotients).astype(np.int32) + op.zero_point
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


@RULES.register(TableResizeBilinear)
def table_resize_bilinear(op: TableResizeBilinear, _: Facts) -> Kernel:
    """Return the kernel of an interpolation of real values; weights are multiplied with each other first."""
    least, dtype, scale = op.input.type.dtype.minimum, op.element.dtype.numpy, np.float32(op.scale)
    rows, columns = _weights(op.rows, 1), _weights(op.columns, 2)

    def kernel(images: Array, table: Array) -> Array:
        reals = table[images.astype(np.int32) - least]
        total: Array | None = None
        for row, down in zip((op.rows.lower, op.rows.upper), rows, strict=True):
            for column, across in zip((op.columns.lower, op.columns.upper), columns, strict=True):
                term = across * down * reals[:, list(row)][:, :, list(column)]
                total = term if total is None else total + term
        assert total is not None
        units = np.asarray(total / scale, np.float32)
        return clamped_codes(units, op.zero_point, op.minimum, op.maximum).astype(dtype)

    return kernel


_LANES = 4


@RULES.register(FloatMean2D)
def float_mean2d(op: FloatMean2D, _: Facts) -> Kernel:
    """Return the kernel of a mean; channels that begin at the same place of a vector are added up together."""
    batch, height, width, channels = op.input.type.shape
    count = height * width
    least, dtype, scale = op.input.type.dtype.minimum, op.element.dtype.numpy, np.float32(op.scale)

    def kernel(images: Array, table: Array) -> Array:
        codes = images.astype(np.int32).transpose(0, 3, 1, 2).reshape(-1, count) - least
        before = -(np.arange(codes.shape[0]) % (batch * channels)) * count % _LANES
        sums = np.empty(codes.shape[0], np.float32)
        for lead in range(_LANES):
            sums[before == lead] = _lane_sums(table[codes[before == lead]], lead)
        means = (sums / np.float32(count)).reshape(-1, 1, 1, channels)
        return clamped_codes(means / scale, op.zero_point, op.minimum, op.maximum).astype(dtype)

    return kernel


def _lane_sums(rows: Array, lead: int) -> Array:
    """Return the sum of each row, of which ``lead`` elements precede the first whole vector."""
    vectors = max(rows.shape[1] - lead, 0) // _LANES
    if not vectors:
        return _one_by_one(rows)
    end = lead + vectors * _LANES
    whole = rows[:, lead:end].reshape(-1, vectors, _LANES)
    lanes = whole[:, 0]
    if vectors > 1:
        even = vectors // 2 * 2
        lanes = _one_by_one(whole[:, 0:even:2]) + _one_by_one(whole[:, 1:even:2])
        lanes = _one_by_one(np.concatenate([lanes[:, None], whole[:, even:]], axis=1))
    total = (lanes[:, 0] + lanes[:, 2]) + (lanes[:, 1] + lanes[:, 3])
    return _one_by_one(np.concatenate([total[:, None], rows[:, :lead], rows[:, end:]], axis=1))


def _one_by_one(rows: Array) -> Array:
    """Return the sums along axis 1, from the first element to the last; a plain sum of numpy has another order."""
    return np.add.accumulate(rows, axis=1, dtype=np.float32)[:, -1]


def _weights(between: FloatInterpolation, axis: int) -> tuple[Array, Array]:
    """Return the weights of the first and of the second of each pair, shaped to lie along ``axis``."""
    second = np.asarray(between.weight, np.float32).reshape((-1,) + (1,) * (3 - axis))
    return np.float32(1) - second, second
