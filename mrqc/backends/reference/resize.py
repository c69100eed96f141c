"""``nn.resize_bilinear``."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from mrqc.backends.interpreter import Array, Kernel
from mrqc.backends.reference.grid import Grid, Real
from mrqc.backends.reference.rules import RULES
from mrqc.ir import Value
from mrqc.ops.nn import ResizeBilinear


@RULES.register(ResizeBilinear)
def resize_bilinear(op: ResizeBilinear, _: Mapping[Value, Array]) -> Kernel:
    """Return the kernel of a change of size that interpolates, along one axis after the other."""
    grid = Grid(op.element, 4)
    axes = [_interpolation(op, axis) for axis in (0, 1)]

    def kernel(images: Array) -> Array:
        units: Real = grid.units_of(images, op.input.type)
        for axis, (lower, upper, weight) in enumerate(axes):
            shaped = weight.reshape((-1,) + (1,) * (2 - axis))
            first, second = (np.take(units, indices, 1 + axis) for indices in (lower, upper))
            units = first + (second - first) * shaped
        return grid.encode(units)

    return kernel


def _interpolation(op: ResizeBilinear, axis: int) -> tuple[NDArray[np.int64], NDArray[np.int64], Real]:
    """Return for each row (axis 0) or column of the result its two neighbours, and the share of the second."""
    size, result = op.input.type.shape[1 + axis], op.size[axis]
    places = [min(max(op.coordinates.place(index, size, result), 0), size - 1) for index in range(result)]
    lower = np.array([int(place) for place in places])
    weight = np.array([float(place - int(place)) for place in places])
    return lower, np.minimum(lower + 1, size - 1), weight
