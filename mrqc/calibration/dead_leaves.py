"""Pictures out of nothing: things of all sizes that hide each other.

A photograph shows objects that occlude one another, so that it consists of edges and of smooth regions at every scale.
The dead leaves model makes such pictures: shapes fall on a plane until it is covered, with sizes distributed as
``1 / size^3``, which makes their statistics independent of scale (Lee, Mumford and Huang, "Occlusion models for natural
images", 2001). Networks answer to them nearly as to photographs (Baradad et al., "Learning to see by looking at noise",
NeurIPS 2021), to noise of the same spectrum they do not.
"""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Real: TypeAlias = NDArray[np.float64]

SMALLEST = 0.055
"""Radius of the smallest shapes over the shorter side; finer ones leave no room for regions."""
LARGEST = 0.6
"""Radius of the largest shapes."""
CONTRAST = (0.25, 0.6)
"""Standard deviation of brightness between shapes, black being -1 and white 1."""
COLOURFULNESS = 0.35
"""How far the channels of a shape differ, over the contrast."""

_COVERED = 0.995
_MOST_SHAPES = 4000


def dead_leaves(height: int, width: int, channels: int, generator: np.random.Generator) -> Real:
    """Return one picture ``[height, width, channels]`` within 0 to 1.

    Args:
        height: Rows.
        width: Columns.
        channels: Colours.
        generator: What it draws from; the same generator draws the same picture.
    """
    picture = np.zeros((height, width, channels))
    free = np.ones((height, width), bool)
    contrast = generator.uniform(*CONTRAST)
    mean = generator.uniform(-0.5, 0.3) + 0.1 * generator.normal(0.0, 1.0, channels)
    texture = _texture(height, width, generator)
    left_over = (1.0 - _COVERED) * free.size
    for _ in range(_MOST_SHAPES):
        if np.count_nonzero(free) <= left_over:
            break
        _drop(picture, free, texture, mean, contrast, generator)
    picture[free] = mean
    picture = _blurred(picture) + generator.normal(0.0, generator.uniform(0.0, 0.03), picture.shape)
    return np.clip(0.5 + 0.5 * picture, 0.0, 1.0)


def _drop(
    picture: Real, free: NDArray[np.bool_], texture: Real, mean: Real, contrast: float, generator: np.random.Generator
) -> None:
    """Put a shape where nothing lies yet: what falls first lies on top."""
    height, width = int(free.shape[0]), int(free.shape[1])
    shorter = min(height, width)
    smallest, largest = max(SMALLEST * shorter, 0.75), max(LARGEST * shorter, 1.5)
    # The inverse of the distribution function of radii that occur as their cube's reciprocal.
    share: float = generator.uniform()
    radius: float = 1.0 / math.sqrt(share / smallest**2 + (1.0 - share) / largest**2)
    row: float = generator.uniform(-0.5 * radius, height + 0.5 * radius)
    column: float = generator.uniform(-0.5 * radius, width + 0.5 * radius)
    colour = mean + contrast * (generator.normal() + COLOURFULNESS * generator.normal(0.0, 1.0, len(mean)))
    slope = 0.25 * contrast / radius * generator.normal(0.0, 1.0, 2)
    roughness = 0.08 * generator.exponential()
    shape = _Shape(generator)
    top, bottom = max(0, int(row - 1.5 * radius)), min(height, int(row + 1.5 * radius) + 1)
    left, right = max(0, int(column - 1.5 * radius)), min(width, int(column + 1.5 * radius) + 1)
    if top >= bottom or left >= right:
        return
    place = slice(top, bottom), slice(left, right)
    down, across = np.arange(top, bottom)[:, None] - row, np.arange(left, right)[None, :] - column
    new = shape.holds(down / radius, across / radius) & free[place]
    shade = down * slope[0] + across * slope[1] + roughness * texture[place]
    picture[place][new] = shade[new][:, None] + colour
    free[place][new] = False


class _Shape:
    """An ellipse, a rectangle or a triangle of unit size, turned and flattened at random."""

    def __init__(self, generator: np.random.Generator) -> None:
        self._kind = int(generator.integers(3))
        self._flatness = generator.uniform(0.4, 1.0)
        x, y = generator.normal(0.0, 1.0, 2)
        length = math.sqrt(x * x + y * y) or 1.0
        self._cosine, self._sine = x / length, y / length

    def holds(self, down: NDArray[Any], across: NDArray[Any]) -> NDArray[np.bool_]:
        """Return which points lie inside."""
        along = self._cosine * across + self._sine * down
        athwart = (self._cosine * down - self._sine * across) / self._flatness
        if self._kind == 0:
            return along**2 + athwart**2 < 1.0
        if self._kind == 1:
            return (np.abs(along) < 0.8) & (np.abs(athwart) < 0.8)
        return (athwart > -0.5) & (1.5 * np.abs(along) + athwart < 0.8)


def _texture(height: int, width: int, generator: np.random.Generator) -> Real:
    """Return noise at three scales, from two pixels on."""
    total = np.zeros((height, width))
    for step in (2, 4, 8):
        grid = generator.normal(0.0, 1.0, (math.ceil(height / step) + 1, math.ceil(width / step) + 1))
        total += _between(_between(grid, height, step).T, width, step).T
    return total


def _between(grid: Real, extent: int, step: int) -> Real:
    """Return rows ``extent`` times, each between two of the grid's, which are ``step`` apart."""
    index, fraction = np.divmod(np.arange(extent), step)
    weight = (fraction / step)[:, None]
    return (1.0 - weight) * grid[index] + weight * grid[index + 1]


def _blurred(picture: Real) -> Real:
    """Return the picture as a lens shows it, edges one pixel wide."""
    padded: NDArray[Any] = np.pad(picture, ((1, 1), (1, 1), (0, 0)), "edge")
    around = padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:]
    return 0.5 * picture + 0.125 * around
