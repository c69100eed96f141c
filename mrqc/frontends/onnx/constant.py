"""Constant, Identity, and the small integer computations that exporters put around shapes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrqc.frontends.constants import Constant, UnsupportedError
from mrqc.frontends.onnx.arrays import Unreadable, element_type_name, numpy_type
from mrqc.frontends.onnx.site import NodeRule, Site
from mrqc.frontends.onnx.tensors import Activation, Tensor
from mrqc.ir.dtype import DType

_LARGEST_FILL = 1 << 24


def import_constant(site: Site) -> Tensor:
    """Tensors, numbers and lists of numbers."""
    (content,) = site.node.attributes.values() or (None,)
    if isinstance(content, Unreadable):
        raise UnsupportedError(content.reason)
    if isinstance(content, np.ndarray):
        return Constant(site.node.outputs[0], content)
    if content is None or isinstance(content, str):
        raise UnsupportedError("its content is no tensor of numbers")
    whole = isinstance(content, int) or (isinstance(content, tuple) and "value_ints" in site.node.attributes)
    return Constant(site.node.outputs[0], np.array(content, np.int64 if whole else np.float32))


def import_identity(site: Site) -> Tensor:
    """Anything."""
    return site.operand(0)


def import_cast(site: Site) -> Tensor:
    """Constants; tensors to the type that they have."""
    tensor = site.operand(0)
    wanted = site.integer("to", 0)
    dtype = numpy_type(wanted)
    if isinstance(tensor, Activation):
        if dtype is not None and DType.of(dtype) is tensor.value.type.dtype:
            return tensor
        raise UnsupportedError(
            f"tensors cannot be cast to {element_type_name(wanted)} at run time",
            "only QuantizeLinear and DequantizeLinear change element types",
        )
    if dtype is None:
        raise UnsupportedError(f"element type {element_type_name(wanted)} is not supported")
    array = site.plain_array(0, "operand")
    if np.issubdtype(dtype, np.integer) and not np.isfinite(array).all():
        raise UnsupportedError("infinite numbers cannot be cast to integers")
    return Constant(site.node.outputs[0], array.astype(dtype))


def import_shape(site: Site) -> Tensor:
    """The shape of any tensor; all shapes are known at import."""
    shape = site.operand(0).shape
    start = site.integer("start", 0)
    end = site.integer("end", len(shape))
    return Constant(site.node.outputs[0], np.array(shape[start:end], np.int64))


def import_dropout(site: Site) -> tuple[Tensor, ...]:
    """As it is at inference: nothing happens, and the mask lets everything through."""
    if site.has_operand(2) and site.plain_array(2, "training_mode").any():
        raise UnsupportedError("it is in training mode", "export the model for inference")
    tensor = site.operand(0)
    if len(site.node.outputs) == 1:
        return (tensor,)
    return (tensor, Constant(site.node.outputs[1], np.ones(tensor.shape, np.bool_)))


def import_equal(site: Site) -> Tensor:
    """Of the numbers of a shape."""
    operands = [site.plain_array(index, "operand") for index in range(2)]
    return _joined(site, np.equal, operands)


def import_where(site: Site) -> Tensor:
    """Of the numbers of a shape."""
    operands = [site.plain_array(index, "operand") for index in range(3)]
    return _joined(site, np.where, operands)


def _joined(site: Site, function: Callable[..., NDArray[Any]], operands: Sequence[NDArray[Any]]) -> Constant:
    try:
        return Constant(site.node.outputs[0], np.asarray(function(*operands)))
    except ValueError as error:
        raise UnsupportedError(f"its constants do not fit each other: {error}") from None


def import_constant_of_shape(site: Site) -> Tensor:
    """Of a constant shape."""
    content = site.node.attributes.get("value", np.zeros(1, np.float32))
    if not isinstance(content, np.ndarray) or content.size != 1:
        raise UnsupportedError("its value must be a tensor of one number")
    shape = site.integers(0, "shape")
    if any(extent < 0 for extent in shape) or math.prod(shape) > _LARGEST_FILL:
        raise UnsupportedError(f"its shape {list(shape)} is not possible")
    return Constant(site.node.outputs[0], np.full(shape, content.reshape(-1)[0]))


CONSTANT_RULES: Mapping[str, NodeRule] = {
    "Constant": NodeRule(
        import_constant, 0, ("value", "value_float", "value_floats", "value_int", "value_ints", "sparse_value")
    ),
    "Identity": NodeRule(import_identity, 1),
    "Cast": NodeRule(import_cast, 1, ("to", "saturate")),
    "Shape": NodeRule(import_shape, 1, ("start", "end")),
    "Dropout": NodeRule(import_dropout, 3, ("ratio", "seed"), results=2),
    "Equal": NodeRule(import_equal, 2),
    "Where": NodeRule(import_where, 3),
    "ConstantOfShape": NodeRule(import_constant_of_shape, 1, ("value",)),
}
"""Nodes without a run-time meaning."""
