"""RESHAPE, SQUEEZE, EXPAND_DIMS, TRANSPOSE, SHAPE: what moves elements without touching them."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from mrqc.frontends.constants import Constant, UnsupportedError
from mrqc.frontends.tflite.site import Site, Support
from mrqc.frontends.tflite.tensors import type_of
from mrqc.ir.op import Value
from mrqc.ops import nn


def import_reshape(site: Site) -> Value | Constant:
    """To a constant shape, which may have one -1 (whatever is left)."""
    wanted = site.integers(1, "shape") if site.has_operand(1) else site.integer_list("new_shape")
    tensor = site.operand(0)
    size = math.prod(shape_of(tensor))
    # Files of the first converters say [0] for a tensor without axes.
    if wanted == (0,):
        wanted = ()
    known = math.prod(extent for extent in wanted if extent != -1)
    if wanted.count(-1) == 1 and known > 0 and size % known == 0:
        wanted = tuple(size // known if extent == -1 else extent for extent in wanted)
    if any(extent < 1 for extent in wanted):
        raise UnsupportedError(f"shape {list(shape_of(tensor))} cannot become {list(wanted)}")
    return reshaped(site, tensor, wanted)


def import_squeeze(site: Site) -> Value | Constant:
    """Axes of extent 1, all or the given ones."""
    tensor = site.operand(0)
    shape = shape_of(tensor)
    axes = tuple(site.axis(axis, len(shape)) for axis in site.integer_list("squeeze_dims"))
    if not axes:
        axes = tuple(axis for axis, extent in enumerate(shape) if extent == 1)
    if any(shape[axis] != 1 for axis in axes):
        raise UnsupportedError(f"axes {list(axes)} of shape {list(shape)} are not all of extent 1")
    return reshaped(site, tensor, tuple(extent for axis, extent in enumerate(shape) if axis not in axes))


def import_expand_dims(site: Site) -> Value | Constant:
    """A new axis of extent 1 at a constant place."""
    tensor = site.operand(0)
    shape = shape_of(tensor)
    axes = site.integers(1, "axis")
    if len(axes) != 1:
        raise UnsupportedError(f"the axis must be one number, found {list(axes)}")
    axis = site.axis(axes[0], len(shape), first_beyond=1)
    return reshaped(site, tensor, (*shape[:axis], 1, *shape[axis:]))


def import_transpose(site: Site) -> Value | Constant:
    """Any constant permutation."""
    tensor = site.operand(0)
    permutation = site.integers(1, "permutation")
    rank = len(shape_of(tensor))
    if sorted(permutation) != list(range(rank)):
        raise UnsupportedError(f"{list(permutation)} is no permutation of {rank} axes")
    if isinstance(tensor, Constant):
        return tensor.transposed(permutation)
    site.check_same_element(nn.Transpose(tensor, permutation).infer()[0].element)
    return site.emit(nn.Transpose(tensor, permutation))


def import_shape(site: Site) -> Constant:
    """Of any tensor; all shapes are known at import."""
    element = type_of(site.result_record()).element
    shape = np.asarray(shape_of(site.operand(0)), element.dtype.numpy)
    return Constant(site.result_record().name, shape, element)


def shape_of(tensor: Value | Constant) -> tuple[int, ...]:
    """Return the extents of a tensor."""
    return tensor.type.shape if isinstance(tensor, Value) else tensor.shape


def reshaped(site: Site, tensor: Value | Constant, shape: tuple[int, ...]) -> Value | Constant:
    """Return the result of an operator that gives a tensor another shape.

    Raises:
        UnsupportedError: The sizes differ, or the file gives the result another meaning.
    """
    if isinstance(tensor, Value):
        site.check_same_element(tensor.type.element)
    return site.reshape(tensor, shape)


LAYOUT_RULES: Mapping[str, Support] = {
    "RESHAPE": Support(import_reshape, (1, 2), "ReshapeOptions", ("new_shape",)),
    "SQUEEZE": Support(import_squeeze, (1, 1), "SqueezeOptions", ("squeeze_dims",)),
    "EXPAND_DIMS": Support(import_expand_dims, (2, 2), "ExpandDimsOptions"),
    "TRANSPOSE": Support(import_transpose, (2, 2), "TransposeOptions"),
    "SHAPE": Support(import_shape, (1, 1), "ShapeOptions", ("out_type",)),
}
"""Operators that move elements without touching them."""
