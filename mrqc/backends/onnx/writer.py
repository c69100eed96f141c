"""The ONNX graph under construction.

ONNX has images with the channels first, the IR with the channels last. A value may stand in the file in either
order, or in both: what an operator asks for and the file does not have yet is transposed on the way, once. An
``nn.transpose`` between the two orders only renames.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeAlias

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from mrqc.ir import Data, DType, Quantization, TensorType, Value

MICROSOFT = "com.microsoft"
"""The domain of ONNX Runtime's own operators."""

TENSOR_TYPES: dict[DType, int] = {
    DType.F32: onnx.TensorProto.FLOAT,
    DType.I8: onnx.TensorProto.INT8,
    DType.U8: onnx.TensorProto.UINT8,
    DType.I16: onnx.TensorProto.INT16,
    DType.I32: onnx.TensorProto.INT32,
    DType.I64: onnx.TensorProto.INT64,
}


class Form(StrEnum):
    """How quantized operators are written."""

    QDQ = "qdq"
    """Float operators between ``DequantizeLinear`` and ``QuantizeLinear``."""
    QOPERATOR = "qoperator"
    """``QLinearConv`` and its like where there is one, QDQ elsewhere."""


class Layout(StrEnum):
    """In which order the axes of a tensor stand in the file."""

    LOGICAL = "logical"
    """As in the IR."""
    CHANNELS_FIRST = "channels-first"
    """An image as NCHW."""
    EXCHANGED = "exchanged"
    """A matrix with its columns as rows."""


TO_CHANNELS_FIRST = (0, 3, 1, 2)
TO_CHANNELS_LAST = (0, 2, 3, 1)

_FROM_LOGICAL: Mapping[Layout, tuple[int, ...]] = {
    Layout.CHANNELS_FIRST: TO_CHANNELS_FIRST,
    Layout.EXCHANGED: (1, 0),
}
_SUFFIXES: Mapping[Layout, str] = {
    Layout.LOGICAL: "nhwc",
    Layout.CHANNELS_FIRST: "nchw",
    Layout.EXCHANGED: "exchanged",
}

Place: TypeAlias = tuple[Value, Layout]


@dataclass
class Writer:
    """Nodes and initializers so far.

    Attributes:
        form: How quantized operators are written.
        opset: Version of the default operator set.
        constants: The elements of every constant of the module.
        nodes: In order.
    """

    form: Form
    opset: int
    constants: Mapping[Value, Data]
    nodes: list[onnx.NodeProto] = field(default_factory=list[onnx.NodeProto])
    _initializers: dict[tuple[str, Data], onnx.TensorProto] = field(
        default_factory=dict[tuple[str, Data], onnx.TensorProto]
    )
    _names: set[str] = field(default_factory=set[str])
    _codes: dict[Place, str] = field(default_factory=dict[Place, str])
    _reals: dict[Place, str] = field(default_factory=dict[Place, str])
    _dequantized: dict[Value, Value] = field(default_factory=dict[Value, Value])

    # Names

    def fresh(self, wanted: str) -> str:
        """Return a name that nothing has yet, ``wanted`` or like it."""
        name, number = wanted, 0
        while name in self._names:
            number += 1
            name = f"{wanted}_{number}"
        self._names.add(name)
        return name

    @property
    def initializers(self) -> list[onnx.TensorProto]:
        """The constants, in the order in which they were first used."""
        return list(self._initializers.values())

    @property
    def domains(self) -> set[str]:
        """The operator domains in use beside the default one."""
        return {node.domain for node in self.nodes if node.domain}

    # Constants

    def initializer(self, wanted: str, array: NDArray[Any]) -> str:
        """Return the name of an initializer; equal ones of the same name are shared."""
        key = (wanted, Data(array))
        if key not in self._initializers:
            self._initializers[key] = numpy_helper.from_array(key[1].array, self.fresh(wanted))
        return self._initializers[key].name

    def quantization(self, wanted: str, quantization: Quantization, dtype: DType) -> tuple[str, str]:
        """Return the names of the scale and of the zero point: single numbers, or one for each channel."""
        scales = np.asarray(quantization.scales, np.float32)
        zero_points = np.asarray(quantization.zero_points, dtype.numpy)
        if quantization.is_per_tensor:
            scales, zero_points = scales.reshape(()), zero_points.reshape(())
        return self.initializer(f"{wanted}_scale", scales), self.initializer(f"{wanted}_zero_point", zero_points)

    def order_of_elements(self, value: Value) -> Layout:
        """Return an order that the file has and that keeps the elements where the logical one has them."""
        if self.holds(value, Layout.LOGICAL) or not self.holds(value, Layout.CHANNELS_FIRST):
            return Layout.LOGICAL
        _, height, width, channels = value.type.shape
        return Layout.CHANNELS_FIRST if channels == 1 or height == width == 1 else Layout.LOGICAL

    # Nodes

    def node(self, kind: str, inputs: Sequence[str], wanted: str, domain: str = "", **attributes: object) -> str:
        """Append a node with one result, and return the name of that."""
        output = self.fresh(wanted)
        present: dict[str, Any] = {name: content for name, content in attributes.items() if content is not None}
        name = self.fresh(f"{wanted}/{kind}")
        self.nodes.append(helper.make_node(kind, list(inputs), [output], name=name, domain=domain, **present))
        return output

    # Values

    def define_codes(self, value: Value, name: str, layout: Layout) -> None:
        """Say that ``name`` holds a value as it is stored: codes where it is quantized."""
        self._codes[value, layout] = name

    def define_dequantized(self, value: Value, constant: Value) -> None:
        """Say that a value is the real values of a constant, which are written in the orders that are asked for."""
        self._dequantized[value] = constant

    def is_constant(self, value: Value) -> bool:
        """Whether a value is a constant, dequantized or as it is."""
        return value in self.constants or value in self._dequantized

    def holds(self, value: Value, layout: Layout) -> bool:
        """Whether the file has the value in that order already; a constant has every order."""
        return (value, layout) in self._codes or self.is_constant(value)

    def codes(self, value: Value, layout: Layout) -> str:
        """Return the name of a value as it is stored, in the order asked for."""
        place = (value, layout)
        if place not in self._codes:
            self._codes[place] = (
                self._constant(value, layout) if self.is_constant(value) else self._moved(value, layout)
            )
        return self._codes[place]

    def real(self, value: Value, layout: Layout) -> str:
        """Return the name of the real values of a value, dequantized on the way."""
        if value.type.dtype is DType.I64 and value in self.constants:
            return self._real_of_wide(value)
        codes = self.codes(value, layout)
        quantization = value.type.quantization
        if quantization is None:
            return codes
        place = (value, layout)
        if place not in self._reals:
            scale, zero_point = self.quantization(value.name, quantization, value.type.dtype)
            axis = quantization.axis
            if axis is not None and layout in _FROM_LOGICAL:
                axis = _FROM_LOGICAL[layout].index(axis)
            inputs = (codes, scale, zero_point)
            self._reals[place] = self.node("DequantizeLinear", inputs, f"{value.name}_real", axis=axis)
        return self._reals[place]

    def _real_of_wide(self, value: Value) -> str:
        """Return the real values of a constant of 64-bit codes: as codes of 32 bits where they fit, else as floats."""
        codes, quantization = self.constants[value].array, value.type.quantization
        if quantization is None:
            return self.initializer(value.name, codes)
        narrow = codes.astype(np.int32)
        if not np.array_equal(narrow, codes):
            return self.initializer(value.name, quantization.dequantize(codes).astype(np.float32))
        scale, zero_point = self.quantization(value.name, quantization, DType.I32)
        inputs = (self.initializer(value.name, narrow), scale, zero_point)
        return self.node("DequantizeLinear", inputs, f"{value.name}_real", axis=quantization.axis)

    def _constant(self, value: Value, layout: Layout) -> str:
        if value in self._dequantized:
            return self.real(self._dequantized[value], layout)
        array = self.constants[value].array
        if layout in _FROM_LOGICAL:
            array = np.transpose(array, _FROM_LOGICAL[layout])
        return self.initializer(value.name, array)

    def _moved(self, value: Value, layout: Layout) -> str:
        is_logical = layout is Layout.LOGICAL
        permutation = TO_CHANNELS_LAST if is_logical else _FROM_LOGICAL[layout]
        held = self._codes[value, Layout.CHANNELS_FIRST] if is_logical else self.codes(value, Layout.LOGICAL)
        return self.node("Transpose", (held,), f"{value.name}_{_SUFFIXES[layout]}", perm=permutation)


def value_info(name: str, type_: TensorType) -> onnx.ValueInfoProto:
    """Return the declaration of an input or output."""
    return helper.make_tensor_value_info(name, TENSOR_TYPES[type_.dtype], list(type_.shape))
