"""Constant, Identity, and the small integer computations that exporters put around shapes."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrqc.frontends.onnx.arrays import Unreadable, element_type_name, numpy_type
from mrqc.frontends.onnx.site import NodeRule, Site
from mrqc.frontends.onnx.tensors import Activation, Constant, Tensor, UnsupportedNodeError
from mrqc.ir.dtype import DType


def import_constant(site: Site) -> Tensor:
    """Tensors, numbers and lists of numbers."""
    (content,) = site.node.attributes.values() or (None,)
    if isinstance(content, Unreadable):
        raise UnsupportedNodeError(content.reason)
    if isinstance(content, np.ndarray):
        return Constant(site.node.outputs[0], content)
    if content is None or isinstance(content, str):
        raise UnsupportedNodeError("its content is no tensor of numbers")
    whole = isinstance(content, int) or (isinstance(content, tuple) and "value_ints" in site.node.attributes)
    return Constant(site.node.outputs[0], np.array(content, np.int64 if whole else np.float32))


def import_identity(site: Site) -> Tensor:
    """Anything."""
    return site.operand(0)


def import_cast(site: Site) -> Tensor:
    """Constants; floats to floats."""
    tensor = site.operand(0)
    wanted = site.integer("to", 0)
    dtype = numpy_type(wanted)
    if isinstance(tensor, Activation):
        if dtype == np.float32 and tensor.value.type.dtype is DType.F32:
            return tensor
        raise UnsupportedNodeError(
            f"tensors cannot be cast to {element_type_name(wanted)} at run time",
            "only QuantizeLinear and DequantizeLinear change element types",
        )
    if dtype is None:
        raise UnsupportedNodeError(f"element type {element_type_name(wanted)} is not supported")
    array = site.plain_array(0, "operand")
    if np.issubdtype(dtype, np.integer) and not np.isfinite(array).all():
        raise UnsupportedNodeError("infinite numbers cannot be cast to integers")
    return Constant(site.node.outputs[0], array.astype(dtype))


def import_shape(site: Site) -> Tensor:
    """The shape of any tensor; all shapes are known at import."""
    shape = site.operand(0).shape
    start = site.integer("start", 0)
    end = site.integer("end", len(shape))
    return Constant(site.node.outputs[0], np.array(shape[start:end], np.int64))


def import_gather(site: Site) -> Tensor:
    """Constants only: picks from a shape."""
    array = _folded(site, 0)
    indices = _folded(site, 1)
    axis = site.axis(site.integer("axis", 0), array.ndim)
    extent = array.shape[axis]
    if not np.issubdtype(indices.dtype, np.integer) or np.any((indices < -extent) | (indices >= extent)):
        raise UnsupportedNodeError(f"the indices must be integers between {-extent} and {extent - 1}")
    return Constant(site.node.outputs[0], np.take(array, indices, axis))


def import_concat(site: Site) -> Tensor:
    """Constants only: composes a shape."""
    arrays = [_folded(site, index) for index in range(len(site.node.inputs))]
    axis = site.axis(site.integer("axis", 0), arrays[0].ndim) if arrays else 0
    shapes = {(*array.shape[:axis], *array.shape[axis + 1 :], array.ndim) for array in arrays}
    if len(shapes) != 1:
        raise UnsupportedNodeError(f"shapes {[list(array.shape) for array in arrays]} cannot be joined")
    return Constant(site.node.outputs[0], np.concatenate(arrays, axis))


def import_slice(site: Site) -> Tensor:
    """Constants only: cuts a part out of a shape."""
    array = _folded(site, 0)
    starts, ends = site.integers(1, "starts"), site.integers(2, "ends")
    axes = site.integers(3, "axes") if site.has_operand(3) else tuple(range(len(starts)))
    steps = site.integers(4, "steps") if site.has_operand(4) else (1,) * len(starts)
    if not len(starts) == len(ends) == len(axes) == len(steps) or 0 in steps:
        raise UnsupportedNodeError("starts, ends, axes and steps must be equally many, and no step 0")
    cuts = [slice(None)] * array.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        # Counting backwards, "before the first element" is any end below -extent; Python spells it None.
        beyond = step < 0 and end < -array.shape[site.axis(axis, array.ndim)]
        cuts[site.axis(axis, array.ndim)] = slice(start, None if beyond else end, step)
    return Constant(site.node.outputs[0], array[tuple(cuts)])


def _folded(site: Site, index: int) -> NDArray[Any]:
    if isinstance(site.operand(index), Activation):
        raise UnsupportedNodeError("only constants are supported, such as the parts of a shape")
    return site.plain_array(index, "operand")


CONSTANT_RULES: Mapping[str, NodeRule] = {
    "Constant": NodeRule(
        import_constant, 0, ("value", "value_float", "value_floats", "value_int", "value_ints", "sparse_value")
    ),
    "Identity": NodeRule(import_identity, 1),
    "Cast": NodeRule(import_cast, 1, ("to", "saturate")),
    "Shape": NodeRule(import_shape, 1, ("start", "end")),
    "Gather": NodeRule(import_gather, 2, ("axis",)),
    "Concat": NodeRule(import_concat, sys.maxsize, ("axis",)),
    "Slice": NodeRule(import_slice, 5),
}
"""Nodes without a run-time meaning."""
