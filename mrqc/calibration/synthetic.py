"""Inputs out of nothing, for calibration without data: pictures of things that hide each other, and smooth signals.

What convolutional models answer to is structure at several scales; white noise has none of it. An input of three
channels gets pictures, any other a signal: a sum of random grids of 2, 4, 8, … points along each axis, blown up to the
full size, with amplitudes that fall with the frequency as those of natural signals do.
"""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mrqc.calibration.dead_leaves import dead_leaves
from mrqc.calibration.input_codes import ImageLayout
from mrqc.ir.dtype import DType
from mrqc.ir.graph import Module
from mrqc.ir.op import Value
from mrqc.ir.types import TensorType
from mrqc.ops import nn

Real: TypeAlias = NDArray[np.float64]

FLOAT_RANGE = (-2.0, 2.0)
"""What a float input holds where nothing says more: normalized data."""
PLAIN_RANGE = (-128.0, 127.0)
"""What an integer input without a scale holds, as far as its type goes."""

ROUGHNESS = (0.5, 0.9)
"""What the amplitude of each finer grid of a signal is multiplied by: smooth to rough ones."""
PICTURE_CHANNELS = 3
SMALLEST_PICTURE = 16
"""Rows and columns of the smallest input that is taken for a picture."""


def synthetic_inputs(module: Module, count: int, seed: int = 0) -> dict[str, NDArray[Any]]:
    """Return ``count`` batches of every input of a module: codes of quantized inputs, float32 for floats.

    The batches are N first; a scalar input gives an array of ``count`` elements. Batch k does not depend on ``count``.

    Args:
        module: Its inputs' types say shapes and ranges; a float input that is quantized at once has that range.
        count: How many batches of the module.
        seed: Same seed, same numbers, on every machine up to the rounding of its ``exp`` and ``sqrt``.
    """
    return {
        value.name: np.concatenate([synthetic_batch(module, position, index, seed) for index in range(count)])
        for position, value in enumerate(module.graph.inputs)
    }


def inputs_are_pictures(module: Module) -> bool:
    """Whether all inputs of a module take coloured pictures, whose statistics synthetic ones have nearly."""
    return all(_picture_layout(value.type.shape[1:]) is not None for value in module.graph.inputs)


def _picture_layout(shape: tuple[int, ...]) -> ImageLayout | None:
    """Return how a picture lies in a sample; what has one channel may be a spectrogram or a map of anything."""
    layout = ImageLayout.of((1, *shape))
    if layout is None or layout.channels != PICTURE_CHANNELS or min(layout.height, layout.width) < SMALLEST_PICTURE:
        return None
    return layout


def synthetic_batch(module: Module, position: int, index: int, seed: int = 0) -> NDArray[Any]:
    """Return batch ``index`` of the input at ``position``; see :func:`synthetic_inputs`."""
    value = module.graph.inputs[position]
    generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, position, index])))
    shape = value.type.shape or (1,)
    noise = np.stack([_noise(shape[1:], generator) for _ in range(shape[0])])
    low, high = real_range(module, value)
    return _stored(low + noise * (high - low), value.type)


def real_range(module: Module, value: Value) -> tuple[Real, Real]:
    """Return the least and greatest real value of an input; they broadcast against it."""
    type_ = value.type
    if type_.quantization is not None:
        return _code_range(type_)
    if type_.dtype.is_integer:
        low, high = max(PLAIN_RANGE[0], type_.dtype.minimum), min(PLAIN_RANGE[1], type_.dtype.maximum)
        return np.asarray(low), np.asarray(high)
    for statement in module.graph.uses.get(value, ()):
        if isinstance(statement.op, nn.Quantize) and statement.result.type.element.quantization is not None:
            return _code_range(statement.result.type)
        if isinstance(statement.op, nn.Transpose | nn.Reshape):
            low, high = real_range(module, statement.result)
            if low.size == high.size == 1:
                return np.asarray(low.item()), np.asarray(high.item())
    return np.asarray(FLOAT_RANGE[0]), np.asarray(FLOAT_RANGE[1])


def _code_range(type_: TensorType) -> tuple[Real, Real]:
    quantization = type_.quantization
    assert quantization is not None
    scales, zero_points = quantization.broadcast_scales(type_.rank), quantization.broadcast_zero_points(type_.rank)
    return scales * (type_.dtype.minimum - zero_points), scales * (type_.dtype.maximum - zero_points)


def _stored(reals: Real, type_: TensorType) -> NDArray[Any]:
    if type_.dtype is DType.F32:
        return reals.astype(np.float32)
    minimum, maximum = type_.dtype.minimum, type_.dtype.maximum
    if type_.quantization is None:
        return np.clip(np.rint(reals), minimum, maximum).astype(type_.dtype.numpy)
    return (
        type_.quantization.quantize(reals.reshape(type_.shape), minimum, maximum)
        .astype(type_.dtype.numpy)
        .reshape(reals.shape)
    )


def _noise(shape: tuple[int, ...], generator: np.random.Generator) -> Real:
    """Return one sample within 0 to 1: a picture where one fits, else a smooth signal."""
    layout = _picture_layout(shape)
    if layout is not None:
        picture = dead_leaves(layout.height, layout.width, layout.channels, generator)
        return np.moveaxis(picture, -1, 0) if layout.channels_first else picture
    return _in_range(_octaves(shape, generator, channel_axis=len(shape) == 3), generator)


def _octaves(shape: tuple[int, ...], generator: np.random.Generator, channel_axis: bool = False) -> Real:
    """Return a sum of blown-up random grids of unit power, smooth along all axes but the channels'."""
    smooth = shape[:-1] if channel_axis else shape
    levels = math.ceil(math.log2(max(smooth, default=1)))
    roughness = generator.uniform(*ROUGHNESS)
    total = generator.normal(0.0, 0.5, (*(1,) * len(smooth), *shape[len(smooth) :]))
    for level in range(1, levels + 1):
        grid_shape = tuple(min(extent, 1 << level) for extent in smooth)
        # What is there already grows with the grids: each step handles no more points than the next grid has.
        for axis, extent in enumerate(grid_shape):
            total = _blown_up(total, axis, extent)
        amplitude = roughness ** (level - 1) * generator.uniform(0.5, 1.5)
        total = total + amplitude * generator.normal(0.0, 1.0, total.shape)
    total = np.broadcast_to(total, shape)
    deviation = float(total.std())
    return total / deviation if deviation > 0 else total


def _blown_up(grid: Real, axis: int, extent: int) -> Real:
    """Return the grid at ``extent`` points along an axis, with smooth steps between its own."""
    points = grid.shape[axis]
    if points == extent:
        return grid
    if points == 1:
        return np.repeat(grid, extent, axis)
    place = np.arange(extent) * ((points - 1.0) / (extent - 1.0))
    left = np.minimum(place.astype(np.intp), points - 2)
    fraction = place - left
    # Three fraction squared less two cubed: no corners where the pieces meet.
    weight = fraction * fraction * (3.0 - 2.0 * fraction)
    matrix = np.zeros((extent, points))
    rows = np.arange(extent)
    matrix[rows, left] += 1.0 - weight
    matrix[rows, left + 1] += weight
    flat = grid.reshape(math.prod(grid.shape[:axis]), points, -1)
    return np.matmul(matrix, flat).reshape(*grid.shape[:axis], extent, *grid.shape[axis + 1 :])


def _in_range(sample: Real, generator: np.random.Generator) -> Real:
    """Return the sample with a mean and a contrast of its own, clipped to the interval from 0 to 1."""
    deviation = float(sample.std())
    centred = (sample - sample.mean()) / (deviation if deviation > 0 else 1.0)
    contrast = generator.uniform(0.08, 0.33)
    return np.clip(generator.uniform(0.3, 0.7) + contrast * centred, 0.0, 1.0)
