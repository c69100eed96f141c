"""Inputs out of nothing: smooth noise with the statistics of pictures and signals, for calibration without data.

What convolutional models answer to is structure at several scales, with contrast and colours that go together; white
noise has none of it. A sample is a sum of random grids of 2, 4, 8, … points along each spatial axis, blown up to the
full size, with amplitudes that fall with the frequency as those of photographs do (Field, "Relations between the
statistics of natural images", 1987), mixed over the channels, with flat regions and edges.
"""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

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
"""What the amplitude of each finer grid is multiplied by: smooth to rough pictures."""
COMMON = (0.85, 1.0)
"""How much of all channels is the same; green and red of photographs correlate by 0.93, blue and red by 0.84."""

_MOST_RECTANGLES = 4


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
    """Return one sample within 0 to 1: pictures for three axes, smooth signals otherwise."""
    if len(shape) == 3:
        height, width, channels = shape
        layout = ImageLayout.of((1, *shape))
        if layout is not None and layout.channels_first:
            return np.moveaxis(_picture(layout.height, layout.width, layout.channels, generator), -1, 0)
        return _picture(height, width, channels, generator)
    return _in_range(_octaves(shape, generator), generator)


def _picture(height: int, width: int, channels: int, generator: np.random.Generator) -> Real:
    """Return a height, width, channels array: octaves of noise under flat rectangles, channels that go together."""
    planes = _octaves((height, width, channels), generator, channel_axis=True)
    # How much the channels have in common: photographs are mostly grey, feature maps need not be.
    common = generator.uniform(*COMMON)
    grey = planes.mean(axis=-1, keepdims=True) * math.sqrt(channels)
    planes = common * grey + math.sqrt(1.0 - common**2) * planes
    planes += generator.normal(0.0, 0.2, channels)
    for _ in range(int(generator.integers(0, _MOST_RECTANGLES + 1))):
        top, bottom = np.sort(generator.integers(0, height + 1, 2))
        left, right = np.sort(generator.integers(0, width + 1, 2))
        # An edge around texture that goes on, or a flat region.
        keep = generator.choice([0.0, 1.0])
        colour = generator.normal(0.0, 1.0) + generator.normal(0.0, 0.3, channels)
        planes[top:bottom, left:right] = keep * planes[top:bottom, left:right] + colour
    return _in_range(planes, generator)


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
