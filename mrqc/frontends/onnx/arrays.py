"""Tensor protos as numpy arrays, strictly: what does not add up is said, never guessed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

_NUMPY_TYPES: dict[int, tuple[type[np.generic], str]] = {
    TensorProto.FLOAT: (np.float32, "float_data"),
    TensorProto.DOUBLE: (np.float64, "double_data"),
    TensorProto.UINT8: (np.uint8, "int32_data"),
    TensorProto.INT8: (np.int8, "int32_data"),
    TensorProto.UINT16: (np.uint16, "int32_data"),
    TensorProto.INT16: (np.int16, "int32_data"),
    TensorProto.INT32: (np.int32, "int32_data"),
    TensorProto.INT64: (np.int64, "int64_data"),
    TensorProto.BOOL: (np.bool_, "int32_data"),
}
"""Element types that are read, and the field that holds the elements where ``raw_data`` is not used."""


_MOST_AXES = 8
_LARGEST = 1 << 40


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A tensor that cannot be turned into an array, and why."""

    reason: str


def element_type_name(element_type: int) -> str:
    """Return ONNX's own name of an element type, such as ``FLOAT16``."""
    known = {number: name for name, number in TensorProto.DataType.items()}
    return known.get(element_type, f"number {element_type}")


def numpy_type(element_type: int) -> np.dtype[Any] | None:
    """Return the numpy dtype of an ONNX element type, or None where mrqc does not read it."""
    found = _NUMPY_TYPES.get(element_type)
    return np.dtype(found[0]) if found else None


def read_array(tensor: TensorProto) -> NDArray[Any] | Unreadable:
    """Return the elements of ``tensor``, or the reason why there are none to be had."""
    if tensor.data_type not in _NUMPY_TYPES:
        return Unreadable(f"element type {element_type_name(tensor.data_type)} is not supported")
    scalar, field = _NUMPY_TYPES[tensor.data_type]
    dtype = np.dtype(scalar)
    shape = tuple(tensor.dims)
    if len(shape) > _MOST_AXES or min(shape, default=1) < 0 or math.prod(extent or 1 for extent in shape) > _LARGEST:
        return Unreadable(f"its shape {list(shape)} is not one of a tensor")
    size = math.prod(shape)
    if tensor.HasField("raw_data"):
        raw = tensor.raw_data
        if len(raw) != size * dtype.itemsize:
            return Unreadable(f"{len(raw)} bytes of data do not fill shape {list(shape)} of {dtype}")
        return np.frombuffer(raw, dtype.newbyteorder("<")).astype(dtype).reshape(shape)
    is_real = np.issubdtype(dtype, np.floating)
    listed = np.array(getattr(tensor, field), dtype if is_real else np.int64)
    if listed.size != size:
        return Unreadable(f"{listed.size} elements do not fill shape {list(shape)}")
    array = listed.astype(dtype)
    if not is_real and not np.array_equal(listed, array.astype(np.int64)):
        return Unreadable(f"some elements do not fit {dtype}")
    return array.reshape(shape)
