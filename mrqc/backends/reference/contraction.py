"""``nn.conv2d`` and ``nn.fully_connected``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from mrqc.backends.interpreter import Array, Kernel
from mrqc.backends.reference.grid import (
    Grid,
    IntegerOperand,
    Real,
    integer_operand,
    quantization_of,
    real_values,
)
from mrqc.backends.reference.rules import RULES
from mrqc.ir import TensorType, Value
from mrqc.numerics import Convolution, TransposedConvolution, accumulation_dtype, exact_matmul
from mrqc.numerics.exact_matmul import INT64_EXACT
from mrqc.ops.nn import BatchMatMul, Conv2D, FullyConnected, TransposeConv2D
from mrqc.ops.window import Window

_Contraction: TypeAlias = Conv2D | TransposeConv2D | FullyConnected


@dataclass(frozen=True)
class _Prepared:
    """Weights ready to run.

    Attributes:
        convolution: Sums of integers where both operands are quantized, else of doubles.
        scale: The real value of a sum of integers is that times its channel's scale; None for sums of
            doubles.
    """

    convolution: Convolution | TransposedConvolution
    scale: Real | None


@dataclass(frozen=True)
class _IntegerWeights:
    """Weights less their zero points, and what sums of their products with the input need.

    Attributes:
        weights: In the shape of the operand.
        activation: How the input's codes are added up.
        bound: The greatest magnitude of a partial sum.
        scales: The real value of a sum, by output channel or for all.
    """

    weights: Array
    activation: IntegerOperand
    bound: int
    scales: Real


@RULES.register(Conv2D, TransposeConv2D, FullyConnected)
def contraction(op: _Contraction, known: Mapping[Value, Array]) -> Kernel:
    """Return the kernel of a contraction; known weights are prepared here."""
    weight = known.get(op.weight)
    prepared = None if weight is None else _prepare(op, weight)
    (result,) = op.infer()
    grid = Grid(op.element, result.rank, op.clamp)

    def kernel(images: Array, weight: Array, bias: Array | None = None) -> Array:
        ready = prepared or _prepare(op, weight)
        if ready.scale is None:
            images = real_values(images, op.input.type)
        units = np.ones(1) if grid.varies_within_channels else grid.unit.reshape(-1)
        addend = None if bias is None or op.bias is None else _bias_units(bias, op.bias.type, ready, units)
        found = _contract(ready, _as_images(images), addend, units, grid)
        found = found.reshape(images.shape[0], *result.shape[1:])
        return grid.encode(found / grid.unit) if grid.varies_within_channels else found

    return kernel


def _prepare(op: _Contraction, weight: Array) -> _Prepared:
    sums = TransposedConvolution if isinstance(op, TransposeConv2D) else Convolution
    if isinstance(op, Conv2D | TransposeConv2D):
        window, groups, image_size = op.window, op.groups, op.input.type.shape[1:3]
    else:
        # A fully connected layer is the convolution of images that are one pixel.
        window, groups, image_size = Window((1, 1)), 1, (1, 1)
    height, width = image_size
    found = _integer_weights(op, weight)
    if found is None:
        reals = _as_images(real_values(weight, op.weight.type))
        # One image at a time: the last bits of a product of doubles depend on how many rows it has.
        convolution = sums(reals, window, (height, width), groups, np.dtype(np.float64), most_images=1)
        return _Prepared(convolution, None)
    convolution = sums(
        _as_images(found.weights),
        window,
        (height, width),
        groups,
        accumulation_dtype(found.bound),
        offset=found.activation.zero_point,
    )
    return _Prepared(convolution, found.scales)


def _integer_weights(op: _Contraction, weight: Array) -> _IntegerWeights | None:
    """Return the weights as integers where one scale serves each output channel and sums fit 64 bits."""
    activation = integer_operand(op.input.type.element)
    quantization = quantization_of(op.weight.type.element)
    if activation is None or quantization is None or quantization.axis not in (None, 0):
        return None
    weights = weight.astype(np.int64) - quantization.broadcast_zero_points(weight.ndim)
    bound = int(np.abs(weights).reshape(weights.shape[0], -1).sum(axis=1).max()) * activation.reach
    if bound >= INT64_EXACT:
        return None
    return _IntegerWeights(weights, activation, bound, activation.scale * np.asarray(quantization.scales))


def _as_images(array: Array) -> Array:
    return array[:, None, None, :] if array.ndim == 2 else array


def _bias_units(bias: Array, type_: TensorType, prepared: _Prepared, units: Real) -> Real:
    """Return the bias in the units that sums are scaled to: the grid's, or reals for sums of doubles."""
    quantization = quantization_of(type_.element)
    if prepared.scale is None or quantization is None:
        reals = real_values(bias, type_)
        return reals if prepared.scale is None else reals / units
    centred = bias.astype(np.int64) - quantization.broadcast_zero_points(1)
    return centred * (quantization.broadcast_scales(1) / units)


def _contract(prepared: _Prepared, images: Array, addend: Real | None, units: Real, grid: Grid) -> Array:
    convolution = prepared.convolution
    dtype = np.dtype(np.float64) if grid.varies_within_channels else grid.dtype
    found = np.empty((images.shape[0], *convolution.output_size), dtype)
    factor = None if prepared.scale is None else prepared.scale / units
    for where, sums in convolution.blocks(images):
        values = sums if factor is None else np.multiply(sums, factor, dtype=np.float64)
        if addend is not None:
            values += addend
        if factor is None:
            values /= units
        found[where] = values if grid.varies_within_channels else grid.encode(values)
    return found


@RULES.register(BatchMatMul)
def batch_matmul(op: BatchMatMul, _: Mapping[Value, Array]) -> Kernel:
    """Return the kernel of matrix products: of integers where both operands are quantized, else of doubles."""
    (result,) = op.infer()
    grid = Grid(op.element, result.rank, op.clamp)
    left, right = integer_operand(op.lhs.type.element), integer_operand(op.rhs.type.element)
    depth = op.matrices[0][1]

    def kernel(lhs: Array, rhs: Array) -> Array:
        if left is None or right is None:
            products = np.matmul(
                _matrices(real_values(lhs, op.lhs.type), op.adjoint_lhs),
                _matrices(real_values(rhs, op.rhs.type), op.adjoint_rhs),
            )
            return grid.encode(products / grid.unit)
        sums = exact_matmul(
            _matrices(lhs.astype(np.int64) - left.zero_point, op.adjoint_lhs),
            _matrices(rhs.astype(np.int64) - right.zero_point, op.adjoint_rhs),
            depth * left.reach * right.reach,
        )
        return grid.encode(sums * (left.scale * right.scale / grid.unit))

    return kernel


def _matrices(array: Array, adjoint: bool) -> Array:
    return array.swapaxes(-1, -2) if adjoint else array
