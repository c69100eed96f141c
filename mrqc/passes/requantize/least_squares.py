"""Integer least squares: codes of a layer's weights with the least error of its results, not of the weights.

For each output channel the codes w minimise ``(w - t)^T H (w - t)`` within their range, H being the second moments of
what the channel sees and t the real solution (Frantar and Alistarh, OBQ, arXiv 2208.11580, solve it weight by weight;
here all channels at once, :mod:`mrqc.passes.requantize.closest_codes`; docs/requantization.md equation 10).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrqc.passes.requantize.closest_codes import closest, losses
from mrqc.passes.requantize.form import Real
from mrqc.passes.requantize.second_moments import Problem, systems
from mrqc.targets import Target

_REPLACED = 0.5
"""Share of channels off their grid from which on a layer has nothing to lose by another grid."""
_OCTAVES = (1.0, 0.5, 0.25, 2.0)
_FACTORS = (1.0, 0.84, 0.71, 0.59, 0.5, 0.42, 0.35, 0.25, 1.19)
"""What the scale of such a layer may be multiplied by."""


@dataclass(frozen=True)
class Solution:
    """Codes, and the scales that they are at.

    Attributes:
        codes: ``[O, K]``.
        factor: What the scales are multiplied by.
        real: The real weights of the least error, near the codes; those of the problem in other channels, and in all
            where nobody asked for them.
    """

    codes: Real
    factor: float
    real: Real


def choices(
    off_grid: NDArray[np.int64], channels: int, is_per_channel: bool, target: Target, own: float = 1.0
) -> tuple[NDArray[np.int64], Sequence[float]]:
    """Return the channels of a layer to solve, and what their scale may be multiplied by.

    Weights that were mostly codes stay on their grid; others may find a finer one better, once the error of what that
    cuts off is spread over the rest. A narrow bias has no room for a finer one.

    Args:
        off_grid: The channels with weights that are no codes.
        channels: How many there are.
        is_per_channel: Whether each has its own scale.
        target: Its multipliers and biases.
        own: The scale of the original's grid over that of the layer: most channels may be codes again there.
    """
    mostly_codes = len(off_grid) < _REPLACED * channels
    if mostly_codes or is_per_channel or target.bias.bits < 32:
        return off_grid, (1.0,)
    if target.requantize.only_shifts:
        return np.arange(channels), _OCTAVES
    return np.arange(channels), _FACTORS if math.isclose(own, 1.0) else (1.0, own, *_FACTORS[1:])


def solve(
    problem: Problem, channels: NDArray[np.int64], factors: Sequence[float] = (1.0,), with_real: bool = False
) -> Solution:
    """Return the codes of the least error that was found, in ``channels``; the nearest ones in the others.

    Args:
        problem: What is wanted.
        channels: Which channels to solve: all, if there are several factors.
        factors: What all scales may be multiplied by; the one with the least error wins, the first of equals.
        with_real: Whether to return the real solution as well, which takes as long again in a layer of long channels.
    """
    codes = [problem.nearest(factor) for factor in factors]
    errors = np.zeros(len(factors))
    solution = problem.weights.copy()
    for system in systems(problem, channels):
        part, mixed = system.channels, system.mixed
        if with_real:
            solution[part] = _real_solution(system.moments, mixed)
        lower = system.lower
        for index, factor in enumerate(factors):
            scales = problem.scales[part, None] * factor
            found = closest(codes[index][part], mixed / scales, system.moments, lower, problem.limits)
            codes[index][part] = found
            errors[index] += losses(found * scales, mixed, system.moments).sum()
    best = int(np.argmin(errors))
    return Solution(codes[best], factors[best], solution)


def _real_solution(moments: Real, mixed: Real) -> Real:
    """Return the real weights of each channel that have the least error."""
    if moments.ndim == 2:
        return np.linalg.solve(moments, mixed.T).T.astype(np.float64)
    return np.linalg.solve(moments, mixed[..., None])[..., 0].astype(np.float64)
