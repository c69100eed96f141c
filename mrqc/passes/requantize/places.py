"""What the weights of a layer meet, at some places of its result."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrqc.ops import nn
from mrqc.passes.requantize.form import Layer, Real

Single = NDArray[np.float32]


@dataclass(frozen=True)
class Positions:
    """Places in the result of a layer: sample, row and column; a fully connected layer has one place a sample."""

    sample: NDArray[np.int64]
    row: NDArray[np.int64]
    column: NDArray[np.int64]

    @classmethod
    def spread(cls, shape: tuple[int, ...], wanted: int) -> Positions:
        """Return ``wanted`` places at most of a result ``[samples, …, channels]``, as if at random, always the same."""
        height, width = shape[1:3] if len(shape) == 4 else (1, 1)
        total = math.prod(shape[:-1])
        chosen = np.sort(np.random.default_rng(0).permutation(total)[:wanted]) if total > wanted else np.arange(total)
        sample, place = np.divmod(chosen, height * width)
        return cls(sample, *np.divmod(place, width))


def patches(op: Layer, reals: Single, places: Positions) -> Single:
    """Return what the weights of a layer meet at each place: ``[places, groups, weights of a channel]``.

    Args:
        op: A convolution that is not transposed, or a fully connected layer.
        reals: Its real input, all samples.
        places: In its result.
    """
    if isinstance(op, nn.FullyConnected):
        return reals[places.sample][:, None, :]
    _, kernel_height, kernel_width, depth = op.weight.type.shape
    top, left = op.padding[:2]
    height, width = reals.shape[1:3]
    found = np.zeros((len(places.sample), kernel_height, kernel_width, reals.shape[3]), np.float32)
    for down in range(kernel_height):
        for across in range(kernel_width):
            row = places.row * op.strides[0] + down * op.dilations[0] - top
            column = places.column * op.strides[1] + across * op.dilations[1] - left
            inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
            found[inside, down, across] = reals[places.sample[inside], row[inside], column[inside]]
    grouped = found.reshape(len(found), kernel_height * kernel_width, op.groups, depth)
    return np.ascontiguousarray(grouped.transpose(0, 2, 1, 3)).reshape(len(found), op.groups, -1)


def products(patches_: Single, weights: Real) -> Single:
    """Return the sums of weights ``[O, K]`` times patches ``[places, groups, K]``: ``[places, O]``."""
    groups = patches_.shape[1]
    if groups == 1:
        return (patches_[:, 0].astype(np.float64) @ weights.T).astype(np.float32)
    per_group = weights.reshape(groups, -1, weights.shape[1])
    found = np.matmul(patches_.transpose(1, 0, 2).astype(np.float64), per_group.transpose(0, 2, 1))
    return found.transpose(1, 0, 2).reshape(len(patches_), -1).astype(np.float32)
