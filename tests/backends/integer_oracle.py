"""What the int.* ops mean, in Python integers and loops, straight from their docstrings."""

from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import numpy as np
from exact_rounding import divided, rounded
from softmax_oracle import interpolated_softmax, log_softmax, reciprocal_softmax, softmax

from mrqc.ir import Module, Op
from mrqc.numerics import Rounding
from mrqc.ops import int as ops
from mrqc.ops.window import Window

Array = np.ndarray
"""Of dtype object: Python integers."""


def simulate(module: Module, inputs: dict[str, Array]) -> dict[str, Array]:
    """Return every value by its name, in its dtype."""
    values = {name: array.astype(object) for name, array in inputs.items()}
    for statement in module.graph.statements:
        op = statement.op
        operands = [values[operand.name] for operand in op.operands]
        values[statement.result.name] = ORACLES[type(op)](op, *operands)
    return {value.name: values[value.name].astype(value.type.dtype.numpy) for value in module.graph.values()}


def requantized(accumulator: int, requantize: ops.Requantize, channel: int) -> int:
    multiplier = requantize.multiplier[channel if len(requantize.multiplier) > 1 else 0]
    shift = requantize.shift[channel if len(requantize.shift) > 1 else 0]
    code = divided(accumulator * multiplier, shift, requantize.rounding) + requantize.zero_point
    return min(max(code, requantize.minimum), requantize.maximum)


def window_elements(
    window: Window, height: int, width: int, row: int, column: int
) -> Iterator[tuple[int, int, int, int]]:
    """Yield tap row, tap column, pixel row and pixel column of each element of a window that is no padding."""
    top, left, _, _ = window.padding
    for tap_row in range(window.kernel[0]):
        for tap_column in range(window.kernel[1]):
            y = row * window.strides[0] - top + tap_row * window.dilations[0]
            x = column * window.strides[1] - left + tap_column * window.dilations[1]
            if 0 <= y < height and 0 <= x < width:
                yield tap_row, tap_column, y, x


def conv2d(op: ops.Conv2D, images: Array, weights: Array, bias: Array | None = None) -> Array:
    outputs, _, _, depth = weights.shape
    result = np.empty((images.shape[0], *op.output_shape[1:]), object)
    for n, row, column, o in np.ndindex(*result.shape):
        first = o // (outputs // op.groups) * depth
        total = 0 if bias is None else bias[o]
        for ky, kx, y, x in window_elements(op.window, *images.shape[1:3], row, column):
            for c in range(depth):
                total += (images[n, y, x, first + c] - op.input_zero_point) * (
                    weights[o, ky, kx, c] - op.weight_zero_point
                )
        result[n, row, column, o] = requantized(total, op.requantize, o)
    return result


def transpose_conv2d(op: ops.TransposeConv2D, images: Array, weights: Array, bias: Array | None = None) -> Array:
    sums = transposed_sums(op, images - op.input_zero_point, weights - op.weight_zero_point, bias, 0)
    return each_requantized(sums, op.requantize)


def transposed_sums(op: Any, images: Array, weights: Array, bias: Array | None, zero: Any) -> Array:
    """Return what each input element leaves on the pixels around it."""
    outputs, _, _, depth = weights.shape
    result = np.full((images.shape[0], *op.output_shape[1:]), zero, object)
    if bias is not None:
        result += bias
    for n, y, x in np.ndindex(*images.shape[:3]):
        for o, i, j, c in np.ndindex(*weights.shape):
            row = y * op.strides[0] + i * op.dilations[0] - op.padding[0]
            column = x * op.strides[1] + j * op.dilations[1] - op.padding[1]
            if 0 <= row < result.shape[1] and 0 <= column < result.shape[2]:
                channel = o // (outputs // op.groups) * depth + c
                result[n, row, column, o] += images[n, y, x, channel] * weights[o, i, j, c]
    return result


def batch_matmul(op: ops.BatchMatMul, lhs: Array, rhs: Array) -> Array:
    lhs, rhs = lhs - op.lhs_zero_point, rhs - op.rhs_zero_point
    lhs = lhs.swapaxes(-1, -2) if op.adjoint_lhs else lhs
    rhs = rhs.swapaxes(-1, -2) if op.adjoint_rhs else rhs
    return each_requantized(np.matmul(lhs, rhs), op.requantize)


def each_requantized(sums: Array, requantize: ops.Requantize) -> Array:
    result = np.empty(sums.shape, object)
    for index in np.ndindex(*sums.shape):
        result[index] = requantized(sums[index], requantize, index[-1])
    return result


def fully_connected(op: ops.FullyConnected, rows: Array, weights: Array, bias: Array | None = None) -> Array:
    sums = (rows - op.input_zero_point) @ (weights - op.weight_zero_point).T
    return each_requantized(sums if bias is None else sums + bias, op.requantize)


def pool(op: Any, images: Array, reduce: Callable[[list[int]], int]) -> Array:
    (type_,) = op.infer()
    result = np.empty((images.shape[0], *type_.shape[1:]), object)
    for n, row, column, c in np.ndindex(*result.shape):
        elements = window_elements(op.window, *images.shape[1:3], row, column)
        result[n, row, column, c] = reduce([images[n, y, x, c] for _, _, y, x in elements])
    return result


def add(op: ops.Add, lhs: Array, rhs: Array) -> Array:
    lhs, rhs = np.broadcast_arrays(lhs, rhs)
    result = np.empty(lhs.shape, object)
    for index in np.ndindex(*result.shape):
        total = lhs[index] * op.lhs_multiplier + rhs[index] * op.rhs_multiplier
        result[index] = requantized(total, op.requantize, 0)
    return result


def rescaled_add(op: ops.RescaledAdd, lhs: Array, rhs: Array) -> Array:
    lhs, rhs = np.broadcast_arrays(lhs, rhs)
    result = np.empty(lhs.shape, object)
    for index in np.ndindex(*result.shape):
        total = sum(
            divided((code - s.zero_point) * 2**s.left_shift * s.multiplier, s.shift, op.requantize.rounding)
            for code, s in ((lhs[index], op.lhs_scaling), (rhs[index], op.rhs_scaling))
        )
        result[index] = requantized(total, op.requantize, 0)
    return result


def table(op: ops.Table, codes: Array, entries: Array) -> Array:
    result = np.empty(codes.shape, object)
    for index in np.ndindex(*result.shape):
        result[index] = entries[codes[index] - op.input.type.dtype.minimum]
    return result


def mul(op: ops.Mul, lhs: Array, rhs: Array) -> Array:
    lhs, rhs = np.broadcast_arrays(lhs, rhs)
    result = np.empty(lhs.shape, object)
    for index in np.ndindex(*result.shape):
        product = (lhs[index] - op.lhs_zero_point) * (rhs[index] - op.rhs_zero_point)
        result[index] = requantized(product, op.requantize, 0)
    return result


def extremum(choose: Callable[[int, int], int], lhs: Array, rhs: Array) -> Array:
    lhs, rhs = np.broadcast_arrays(lhs, rhs)
    result = np.empty(lhs.shape, object)
    for index in np.ndindex(*result.shape):
        result[index] = choose(lhs[index], rhs[index])
    return result


def prelu(op: ops.Prelu, codes: Array, slope: Array) -> Array:
    codes, slope = np.broadcast_arrays(codes, slope)
    result = np.empty(codes.shape, object)
    for index in np.ndindex(*result.shape):
        distance = codes[index] - op.input_zero_point
        if distance < 0:
            result[index] = requantized(distance * (slope[index] - op.slope_zero_point), op.requantize, 0)
        else:
            result[index] = requantized(distance, op.positive, 0)
    return result


def rescale(op: ops.Rescale, codes: Array) -> Array:
    result = np.empty(codes.shape, object)
    for index in np.ndindex(*result.shape):
        result[index] = requantized(codes[index] - op.input_zero_point, op.requantize, 0)
    return result


def double_rescale(op: ops.DoubleRescale, codes: Array) -> Array:
    result = np.empty(codes.shape, object)
    for index in np.ndindex(*result.shape):
        product = float(codes[index]) * op.scales[index[-1] if len(op.scales) > 1 else 0]
        code = rounded(Fraction(product), Rounding.HALF_AWAY) + op.zero_point
        result[index] = min(max(code, op.minimum), op.maximum)
    return result


def clamp(op: ops.Clamp, codes: Array) -> Array:
    result = np.empty(codes.shape, object)
    for index in np.ndindex(*result.shape):
        result[index] = min(max(codes[index], op.minimum), op.maximum)
    return result


def mean_half_away(codes: list[int], minimum: int, maximum: int) -> int:
    mean = rounded(Fraction(sum(codes), len(codes)), Rounding.HALF_AWAY)
    return min(max(mean, minimum), maximum)


def reduce_sum(op: ops.Sum, codes: Array) -> Array:
    centred = codes - op.input_zero_point
    sums = np.asarray(centred.sum(axis=op.axes, keepdims=op.keep_dims), object)
    result = np.empty(sums.shape, object)
    for index in np.ndindex(*sums.shape):
        result[index] = requantized(sums[index], op.requantize, 0)
    return result


def box(op: ops.Slice, codes: Array) -> Array:
    # The leading axis may hold several batches of the module; where that can be, it is whole.
    size = (codes.shape[0], *op.size[1:]) if op.size[0] == op.input.type.shape[0] else op.size
    result = np.empty(size, object)
    for index in np.ndindex(*size):
        result[index] = codes[tuple(b + i * s for b, i, s in zip(op.begin, index, op.strides, strict=True))]
    return result


def pad(op: ops.Pad, codes: Array) -> Array:
    shape = [
        before + n + after for n, before, after in zip(codes.shape, op.padding[::2], op.padding[1::2], strict=True)
    ]
    result = np.full(shape, op.code, object)
    for index in np.ndindex(*codes.shape):
        result[tuple(i + before for i, before in zip(index, op.padding[::2], strict=True))] = codes[index]
    return result


def arg_max(op: ops.ArgMax, codes: Array) -> Array:
    lines = np.moveaxis(codes, op.axis, -1)
    result = np.empty(lines.shape[:-1], object)
    for index in np.ndindex(*result.shape):
        line = list(lines[index])
        result[index] = line.index(min(line) if op.smallest else max(line))
    return np.expand_dims(result, op.axis) if op.keep_dims else result


def resize_bilinear(op: ops.ResizeBilinear, images: Array) -> Array:
    one, rows, columns = 1 << op.bits, op.rows, op.columns
    result = np.empty((images.shape[0], len(rows.lower), len(columns.lower), images.shape[3]), object)
    for n, y, x, c in np.ndindex(*result.shape):
        total = 0
        for row, down in ((rows.lower[y], one - rows.weight[y]), (rows.upper[y], rows.weight[y])):
            total += down * images[n, row, columns.lower[x], c] * (one - columns.weight[x])
            total += down * images[n, row, columns.upper[x], c] * columns.weight[x]
        result[n, y, x, c] = divided(total, 2 * op.bits, op.rounding)
    return result


ORACLES: dict[type[Op], Callable[..., Array]] = {
    ops.Constant: lambda op: op.value.array.astype(object),
    ops.Conv2D: conv2d,
    ops.TransposeConv2D: transpose_conv2d,
    ops.BatchMatMul: batch_matmul,
    ops.FullyConnected: fully_connected,
    ops.Add: add,
    ops.RescaledAdd: rescaled_add,
    ops.Mul: mul,
    ops.Maximum: lambda _, lhs, rhs: extremum(max, lhs, rhs),
    ops.Minimum: lambda _, lhs, rhs: extremum(min, lhs, rhs),
    ops.Prelu: prelu,
    ops.LogSoftmax: log_softmax,
    ops.InterpolatedSoftmax: interpolated_softmax,
    ops.Table: table,
    ops.ReciprocalSoftmax: reciprocal_softmax,
    ops.AveragePool2D: lambda op, images: pool(
        op, images, lambda found: requantized(sum(found) - len(found) * op.input_zero_point, op.requantize, 0)
    ),
    ops.MeanPool2D: lambda op, images: pool(op, images, lambda found: mean_half_away(found, op.minimum, op.maximum)),
    ops.Sum: reduce_sum,
    ops.ArgMax: arg_max,
    ops.Slice: box,
    ops.Take: lambda op, codes: np.stack([codes.take(index, op.axis) for index in op.indices], op.axis),
    ops.Pad: pad,
    ops.Concat: lambda op, *arrays: np.concatenate(arrays, op.axis),
    ops.ResizeBilinear: resize_bilinear,
    ops.MaxPool2D: lambda op, images: pool(op, images, max),
    ops.Clamp: clamp,
    ops.Softmax: softmax,
    ops.Relabel: lambda _, codes: codes,
    ops.Reshape: lambda op, codes: codes.reshape((-1, *op.shape[1:]) if op.shape else ()),
    ops.Transpose: lambda op, codes: codes.transpose(op.permutation),
    ops.Rescale: rescale,
    ops.DoubleRescale: double_rescale,
}
