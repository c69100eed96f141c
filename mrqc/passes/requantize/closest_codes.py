"""Integer codes that are close to a real solution where closeness is measured by second moments.

Codes are points of a lattice, and the least error is that of the point closest to the real solution. Two ways lead near
it: coordinate descent from the nearest codes, and Babai's nearest plane algorithm, which decides one code after the
other and lets those that are still open make up for it (Babai 1986; GPTQ, arXiv 2210.17323, does the same in another
order). Where the inputs of a layer resemble each other, as neighbouring pixels do, descent is caught early; elsewhere
it is mostly the better one. So both are gone, and each channel keeps the better end (docs/requantization.md, equation
10).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mrqc.passes.requantize.form import Real

SWEEPS = 6
"""Passes over all weights; the first two do nearly everything."""
_BLOCK = 32
"""Weights that are changed one after the other before the rest is told."""
_COPIED = 1 << 22
"""Numbers in the second moments of channels that still change, up to which these are copied to be by themselves."""
_ROWS = 64
"""Channels whose nearest planes are looked for at a time: what is left of them stays in the cache."""


def closest(start: Real, mixed: Real, moments: Real, lower: Real, limits: tuple[int, int]) -> Real:
    """Return codes with a nearly least ``(w - t)^T H (w - t)``, the better of two ways for each channel.

    Args:
        start: The nearest codes, ``[channels, K]``.
        mixed: H t for each channel, of the same shape.
        moments: H, ``[K, K]`` for all channels or ``[channels, K, K]``.
        lower: The lower Cholesky factor of H, of the same shape.
        limits: The least and greatest code.
    """
    descended = descend(start, mixed, moments, limits)
    planes = descend(nearest_plane(mixed, lower, limits), mixed, moments, limits)
    better = losses(planes, mixed, moments) < losses(descended, mixed, moments)
    return np.where(better[:, None], planes, descended)


def losses(weights: Real, mixed: Real, moments: Real) -> Real:
    """Return ``(w - t)^T H (w - t)`` of each channel, less ``t^T H t``, which is the same for all weights."""
    return np.sum((times_moments(weights, moments) - 2.0 * mixed) * weights, axis=1)


def times_moments(rows: Real, moments: Real) -> Real:
    """Return each row times the second moments of all channels or its own."""
    return np.matmul(rows[:, None, :], moments)[:, 0] if moments.ndim == 3 else rows @ moments


def nearest_plane(mixed: Real, lower: Real, limits: tuple[int, int]) -> Real:
    """Return codes decided from the last to the first, each making up for those that are decided already.

    With ``H = L L^T`` the error is ``|L^T (w - t)|^2``, whose last row knows the last code alone.

    Args:
        mixed: H t for each channel, ``[channels, K]``.
        lower: L, ``[K, K]`` for all channels or ``[channels, K, K]``.
        limits: The least and greatest code.
    """
    found = np.empty_like(mixed)
    for first in range(0, len(mixed), _ROWS):
        part = slice(first, first + _ROWS)
        rows = lower if lower.ndim == 2 else lower[part]
        found[part] = _planes(_forward(mixed[part], rows), rows, limits)
    return found


def _forward(mixed: Real, lower: Real) -> Real:
    """Return ``L^T t`` of each channel, the solution of ``L x = H t``."""
    found = np.zeros_like(mixed)
    for index in range(mixed.shape[1]):
        row = lower[..., index, :index]
        known = found[:, :index]
        inner = known @ row if row.ndim == 1 else np.einsum("ck,ck->c", known, row)
        found[:, index] = (mixed[:, index] - inner) / lower[..., index, index]
    return found


def _planes(rest: Real, lower: Real, limits: tuple[int, int]) -> Real:
    """Return the codes; ``rest`` is ``L^T t`` and becomes what is left of it."""
    found = np.empty_like(rest)
    for index in range(rest.shape[1] - 1, -1, -1):
        code = np.clip(np.rint(rest[:, index] / lower[..., index, index]), *limits)
        found[:, index] = code
        rest[:, :index] -= code[:, None] * lower[..., index, :index]
    return found


def descend(codes: Real, mixed: Real, moments: Real, limits: tuple[int, int]) -> Real:
    """Return integer codes with a nearly least ``(w - t)^T H (w - t)``: hardly a change of a single code makes it less.

    Args:
        codes: Where to start, ``[channels, K]``.
        mixed: H t for each channel, of the same shape. Finding t itself would take longer than all the rest.
        moments: H, ``[K, K]`` for all channels or ``[channels, K, K]``.
        limits: The least and greatest code.
    """
    found = codes.copy()
    rows, own, gradient = np.arange(len(codes)), codes.copy(), times_moments(codes, moments) - mixed
    for _ in range(SWEEPS):
        changed = _sweep(own, gradient, moments, limits)
        found[rows] = own
        # A channel whose codes all stay would keep them in every other pass too.
        left = np.count_nonzero(changed)
        if not left:
            break
        if 2 * left <= len(rows) and left * moments.shape[-1] ** 2 <= _COPIED:
            rows, own, gradient = rows[changed], own[changed], gradient[changed]
            moments = moments[changed] if moments.ndim == 3 else moments
    return found


def _sweep(codes: Real, gradient: Real, moments: Real, limits: tuple[int, int]) -> NDArray[np.bool_]:
    """Change each code of all channels once, and the gradient with it; return which channels have changed."""
    changed = np.zeros(len(codes), np.bool_)
    for first in range(0, codes.shape[1], _BLOCK):
        block = slice(first, first + _BLOCK)
        steps = _block_steps(codes[:, block], gradient[:, block], moments[..., block, block], limits)
        moved = steps.any(axis=1)
        if moved.any():
            changed |= moved
            codes[:, block] += steps
            # All other weights learn of a block's steps at once, as a product of matrices.
            gradient += times_moments(steps, moments[..., block, :])
    return changed


def _block_steps(codes: Real, gradient: Real, moments: Real, limits: tuple[int, int]) -> Real:
    """Return what each code of a few neighbouring weights changes by, one after the other."""
    inside, steps = gradient.copy(), np.zeros_like(codes)
    diagonal = np.maximum(np.diagonal(moments, axis1=-2, axis2=-1), 1e-300)
    lowest, highest = limits[0] - codes, limits[1] - codes
    for index in range(codes.shape[1]):
        wanted = -np.rint(inside[:, index] / diagonal[..., index])
        # np.clip takes several times as long for as few numbers as these.
        step = np.minimum(np.maximum(wanted, lowest[:, index]), highest[:, index])
        if step.any():
            steps[:, index] = step
            inside += step[:, None] * moments[..., index, :]
    return steps
