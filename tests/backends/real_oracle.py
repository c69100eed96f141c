"""What the nn.* ops mean, in exact fractions and loops, straight from their docstrings."""

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
from integer_oracle import transposed_sums, window_elements

from mrqc.ir import Module, Op, TensorType
from mrqc.ops import nn

Array = np.ndarray
"""Of dtype object: fractions."""


def exact_values(module: Module, inputs: dict[str, np.ndarray]) -> Array:
    """Return the real values of the last statement's result before they are clamped and rounded."""
    reals = {value.name: dequantized(inputs[value.name], value.type) for value in module.graph.inputs}
    result = None
    for statement in module.graph.statements:
        op = statement.op
        if isinstance(op, nn.Constant):
            result = dequantized(op.value.array, statement.result.type)
        else:
            result = ORACLES[type(op)](op, *(reals[operand.name] for operand in op.operands))
        reals[statement.result.name] = result
    assert result is not None
    return result


def dequantized(array: np.ndarray, type_: TensorType) -> Array:
    """Return codes, or floats, as the exact fractions that they stand for."""
    quantization = type_.quantization
    result = np.empty(array.shape, object)
    for index in np.ndindex(*array.shape):
        if quantization is None:
            result[index] = Fraction(array[index].item())
            continue
        channel = 0 if quantization.axis is None else index[quantization.axis]
        centred = int(array[index]) - quantization.zero_points[channel]
        result[index] = centred * Fraction(quantization.scales[channel])
    return result


def acceptable_codes(
    exact: Array, type_: TensorType, clamp: tuple[float, float], slack: Fraction
) -> tuple[Array, Array]:
    """Return the least and greatest code that each value may round to, when scaled values are off by ``slack``."""
    quantization = type_.quantization
    assert quantization is not None
    low, high = np.empty(exact.shape, object), np.empty(exact.shape, object)
    for index in np.ndindex(*exact.shape):
        channel = 0 if quantization.axis is None else index[quantization.axis]
        real = clamped(exact[index], clamp)
        units = real / Fraction(quantization.scales[channel])
        for codes, offset in ((low, -slack), (high, slack)):
            # round() of a fraction goes half to even.
            code = round(units + offset) + quantization.zero_points[channel]
            codes[index] = min(max(code, type_.dtype.minimum), type_.dtype.maximum)
    return low, high


def clamped(real: Fraction, clamp: tuple[float, float]) -> Fraction:
    low, high = clamp
    if math.isfinite(low):
        real = max(real, Fraction(low))
    return min(real, Fraction(high)) if math.isfinite(high) else real


def conv2d(op: nn.Conv2D, images: Array, weights: Array, bias: Array | None = None) -> Array:
    outputs, _, _, depth = weights.shape
    result = np.empty((images.shape[0], *op.output_shape[1:]), object)
    for n, row, column, o in np.ndindex(*result.shape):
        first = o // (outputs // op.groups) * depth
        total = Fraction(0) if bias is None else bias[o]
        for ky, kx, y, x in window_elements(op.window, *images.shape[1:3], row, column):
            total += sum(images[n, y, x, first + c] * weights[o, ky, kx, c] for c in range(depth))
        result[n, row, column, o] = total
    return result


def transpose_conv2d(op: nn.TransposeConv2D, images: Array, weights: Array, bias: Array | None = None) -> Array:
    return transposed_sums(op, images, weights, bias, Fraction(0))


def batch_matmul(op: nn.BatchMatMul, lhs: Array, rhs: Array) -> Array:
    lhs = lhs.swapaxes(-1, -2) if op.adjoint_lhs else lhs
    return np.matmul(lhs, rhs.swapaxes(-1, -2) if op.adjoint_rhs else rhs)


def fully_connected(_: nn.FullyConnected, rows: Array, weights: Array, bias: Array | None = None) -> Array:
    sums = rows @ weights.T
    return sums if bias is None else sums + bias


def pool(op: Any, images: Array, reduce: Callable[[list[Fraction]], Fraction]) -> Array:
    (type_,) = op.infer()
    result = np.empty((images.shape[0], *type_.shape[1:]), object)
    for n, row, column, c in np.ndindex(*result.shape):
        elements = window_elements(op.window, *images.shape[1:3], row, column)
        result[n, row, column, c] = reduce([images[n, y, x, c] for _, _, y, x in elements])
    return result


def average_pool2d(op: nn.AveragePool2D, images: Array) -> Array:
    if op.count_include_pad:
        return pool(op, images, lambda found: sum(found) / Fraction(op.kernel[0] * op.kernel[1]))
    return pool(op, images, lambda found: sum(found) / Fraction(len(found)))


def softmax(_: nn.Softmax, reals: Array) -> Array:
    result = np.empty(reals.shape, object)
    for index in np.ndindex(*reals.shape[:-1]):
        exponentials = [math.exp(real - max(reals[index])) for real in reals[index]]
        for position, exponential in enumerate(exponentials):
            result[(*index, position)] = Fraction(exponential / math.fsum(exponentials))
    return result


def reduction(op: nn.Mean | nn.Sum, reals: Array) -> Array:
    sums = np.asarray(reals.sum(axis=op.axes, keepdims=op.keep_dims), object)
    return np.asarray(sums / Fraction(op.count if isinstance(op, nn.Mean) else 1), object)


def resize_bilinear(op: nn.ResizeBilinear, images: Array) -> Array:
    result = np.empty((images.shape[0], *op.size, images.shape[3]), object)
    for n, y, x, c in np.ndindex(*result.shape):
        result[n, y, x, c] = sum(
            down * across * images[n, row, column, c]
            for row, down in neighbours(op.coordinates, y, images.shape[1], op.size[0])
            for column, across in neighbours(op.coordinates, x, images.shape[2], op.size[1])
        )
    return result


def neighbours(coordinates: nn.Coordinates, index: int, size: int, result: int) -> list[tuple[int, Fraction]]:
    """Return the pixels that share in a pixel of the result, with their shares."""
    ratio = Fraction(size, result)
    places = {
        nn.Coordinates.ASYMMETRIC: index * ratio,
        nn.Coordinates.HALF_PIXEL: (index + Fraction(1, 2)) * ratio - Fraction(1, 2),
        nn.Coordinates.PYTORCH_HALF_PIXEL: (index + Fraction(1, 2)) * ratio - Fraction(1, 2) if result > 1 else 0,
        nn.Coordinates.ALIGN_CORNERS: Fraction(index * (size - 1), max(result - 1, 1)),
    }
    place = Fraction(min(max(places[coordinates], 0), size - 1))
    lower = math.floor(place)
    return [(lower, 1 - (place - lower)), (min(lower + 1, size - 1), place - lower)]


def mirror_pad(op: nn.MirrorPad, reals: Array) -> Array:
    pairs = list(zip(op.padding[::2], op.padding[1::2], strict=True))
    return np.pad(reals, pairs, mode="reflect" if op.mode is nn.Mirror.REFLECT else "symmetric")


def sliced(op: nn.Slice, reals: Array) -> Array:
    result = np.empty(op.size, object)
    for index in np.ndindex(*op.size):
        result[index] = reals[tuple(b + i * s for b, i, s in zip(op.begin, index, op.strides, strict=True))]
    return result


ORACLES: dict[type[Op], Callable[..., Array]] = {
    nn.Conv2D: conv2d,
    nn.TransposeConv2D: transpose_conv2d,
    nn.BatchMatMul: batch_matmul,
    nn.FullyConnected: fully_connected,
    nn.Add: lambda _, lhs, rhs: lhs + rhs,
    nn.AveragePool2D: average_pool2d,
    nn.MaxPool2D: lambda op, images: pool(op, images, max),
    nn.Mean: reduction,
    nn.MirrorPad: mirror_pad,
    nn.Concat: lambda op, *arrays: np.concatenate(arrays, op.axis),
    nn.Slice: sliced,
    nn.Take: lambda op, reals: np.stack([reals.take(index, op.axis) for index in op.indices], op.axis),
    nn.ResizeBilinear: resize_bilinear,
    nn.Sum: reduction,
    nn.Clip: lambda _, reals: reals,
    nn.Softmax: softmax,
    nn.Relabel: lambda op, reals: reals * np.array([Fraction(factor) for factor in op.factors], object),
    nn.Reshape: lambda op, reals: reals.reshape((-1, *op.shape[1:])),
    nn.Transpose: lambda op, reals: reals.transpose(op.permutation),
    nn.Quantize: lambda _, reals: reals,
    nn.Dequantize: lambda _, reals: reals,
}
