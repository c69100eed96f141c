"""Transpose, Reshape, Flatten, Squeeze, Unsqueeze: bookkeeping as far as possible, on floats and on codes."""

from __future__ import annotations

import math
from collections.abc import Mapping

from mrqc.frontends.constants import UnsupportedError
from mrqc.frontends.onnx.site import NodeRule, Site
from mrqc.frontends.onnx.tensors import Tensor


def import_transpose(site: Site) -> Tensor:
    """Any permutation; costs nothing until an operation needs another layout."""
    tensor = site.operand(0)
    rank = len(tensor.shape)
    permutation = site.integer_list("perm")
    if permutation is None:
        permutation = tuple(reversed(range(rank)))
    if sorted(permutation) != list(range(rank)):
        raise UnsupportedError(f"perm = {list(permutation)} is no permutation of {rank} axes")
    return tensor.transposed(permutation)


def import_reshape(site: Site) -> Tensor:
    """To a constant shape, which may have 0 (as in the input) and one -1 (whatever is left)."""
    tensor = site.operand(0)
    wanted = site.integers(1, "shape")
    if not site.integer("allowzero", 0):
        wanted = tuple(
            tensor.shape[axis] if extent == 0 and axis < len(tensor.shape) else extent
            for axis, extent in enumerate(wanted)
        )
    size = math.prod(tensor.shape)
    known = math.prod(extent for extent in wanted if extent != -1)
    if wanted.count(-1) == 1 and known > 0 and size % known == 0:
        wanted = tuple(size // known if extent == -1 else extent for extent in wanted)
    if math.prod(wanted) != size or any(extent < 0 for extent in wanted):
        raise UnsupportedError(f"shape {list(tensor.shape)} cannot become {list(wanted)}")
    return site.reshape(tensor, wanted)


def import_flatten(site: Site) -> Tensor:
    """At any axis."""
    tensor = site.operand(0)
    axis = site.axis(site.integer("axis", 1), len(tensor.shape), first_beyond=1)
    return site.reshape(tensor, (math.prod(tensor.shape[:axis]), math.prod(tensor.shape[axis:])))


def import_squeeze(site: Site) -> Tensor:
    """Axes of extent 1, all or the given ones."""
    tensor = site.operand(0)
    rank = len(tensor.shape)
    axes = _axes(site, rank)
    if axes is None:
        axes = tuple(axis for axis, extent in enumerate(tensor.shape) if extent == 1)
    if any(tensor.shape[axis] != 1 for axis in axes):
        raise UnsupportedError(f"axes {list(axes)} of shape {list(tensor.shape)} are not all of extent 1")
    return site.reshape(tensor, tuple(extent for axis, extent in enumerate(tensor.shape) if axis not in axes))


def import_unsqueeze(site: Site) -> Tensor:
    """New axes of extent 1 at constant places."""
    tensor = site.operand(0)
    axes = _axes(site, len(tensor.shape), new=True)
    if axes is None or len(set(axes)) != len(axes):
        raise UnsupportedError("it needs a list of different axes")
    extents = iter(tensor.shape)
    rank = len(tensor.shape) + len(axes)
    return site.reshape(tensor, tuple(1 if axis in axes else next(extents) for axis in range(rank)))


def _axes(site: Site, rank: int, new: bool = False) -> tuple[int, ...] | None:
    """Return the axes, an attribute before opset 13 and an input since, counted from the front."""
    axes = site.integers(1, "axes") if site.has_operand(1) else site.integer_list("axes")
    if axes is None:
        return None
    return tuple(site.axis(axis, rank + len(axes) if new else rank) for axis in axes)


LAYOUT_RULES: Mapping[str, NodeRule] = {
    "Transpose": NodeRule(import_transpose, 1, ("perm",)),
    "Reshape": NodeRule(import_reshape, 2, ("allowzero",)),
    "Flatten": NodeRule(import_flatten, 1, ("axis",)),
    "Squeeze": NodeRule(import_squeeze, 2, ("axes",)),
    "Unsqueeze": NodeRule(import_unsqueeze, 2, ("axes",)),
}
"""Nodes that move elements without touching them."""
