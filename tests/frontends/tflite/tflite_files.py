"""A small builder of real .tflite files."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import ArrayLike, NDArray

TYPES = {
    "f32": schema.TensorType.FLOAT32,
    "f16": schema.TensorType.FLOAT16,
    "i8": schema.TensorType.INT8,
    "u8": schema.TensorType.UINT8,
    "i16": schema.TensorType.INT16,
    "i32": schema.TensorType.INT32,
    "i64": schema.TensorType.INT64,
    "bool": schema.TensorType.BOOL,
    "string": schema.TensorType.STRING,
    "c64": schema.TensorType.COMPLEX64,
}
NUMPY = {
    "f32": np.float32,
    "f16": np.float16,
    "i8": np.int8,
    "u8": np.uint8,
    "i16": np.int16,
    "i32": np.int32,
    "i64": np.int64,
    "bool": np.bool_,
}
_NAMES = {np.dtype(numpy): name for name, numpy in NUMPY.items()}
SAME, VALID = 0, 1
NONE, RELU, RELU_N1_TO_1, RELU6, TANH = range(5)
ABSENT = None


@dataclass(frozen=True)
class Scales:
    """Quantization parameters: one scale and zero point, or several along an axis."""

    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    axis: int = 0

    @classmethod
    def one(cls, scale: float, zero_point: int = 0) -> Scales:
        """The same for the whole tensor."""
        return cls((float(np.float32(scale)),), (zero_point,))

    @classmethod
    def along(cls, axis: int, scales: Sequence[float]) -> Scales:
        """Symmetric, one scale for each index of an axis."""
        return cls(tuple(float(np.float32(scale)) for scale in scales), (0,) * len(scales), axis)


@dataclass(frozen=True)
class Options:
    """The options of an operator: the schema's name of their type, and fields as the schema spells them."""

    type: str
    fields: Mapping[str, Any]


def options(type_: str, **fields: Any) -> Options:
    """``options("Conv2DOptions", stride_w=2)``."""
    return Options(type_, fields)


@dataclass
class TfliteFile:
    """Tensors are numbered as they are added; an operator takes and gives these numbers."""

    model: Any = field(default_factory=schema.ModelT)
    graph: Any = field(default_factory=schema.SubGraphT)

    def __post_init__(self) -> None:
        self.model.version = 3
        self.model.description = "single operator"
        self.model.buffers = [schema.BufferT()]
        self.model.operatorCodes = []
        self.model.subgraphs = [self.graph]
        self.graph.tensors, self.graph.operators = [], []
        self.graph.inputs, self.graph.outputs = [], []

    def tensor(self, dtype: str, shape: Sequence[int], scales: Scales | None = None, name: str = "") -> int:
        """Add a tensor that is computed."""
        tensor = schema.TensorT()
        tensor.name = name or f"t{len(self.graph.tensors)}"
        tensor.shape = list(shape)
        tensor.type = TYPES[dtype]
        tensor.buffer = 0
        if scales is not None:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale = list(scales.scales)
            tensor.quantization.zeroPoint = list(scales.zero_points)
            tensor.quantization.quantizedDimension = scales.axis
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def constant(self, array: NDArray[Any], scales: Scales | None = None, name: str = "") -> int:
        """Add a tensor with content."""
        index = self.tensor(_NAMES[array.dtype], array.shape, scales, name)
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(np.ascontiguousarray(array).tobytes(), np.uint8)
        self.graph.tensors[index].buffer = len(self.model.buffers)
        self.model.buffers.append(buffer)
        return index

    def integers(self, numbers: ArrayLike, dtype: str = "i32") -> int:
        """Add a constant of plain integers: a shape, axes, a permutation."""
        return self.constant(np.asarray(numbers, NUMPY[dtype]))

    def input(self, dtype: str, shape: Sequence[int], scales: Scales | None = None, name: str = "") -> int:
        """Add an input of the graph."""
        index = self.tensor(dtype, shape, scales, name)
        self.graph.inputs.append(index)
        return index

    def output(self, dtype: str, shape: Sequence[int], scales: Scales | None = None, name: str = "") -> int:
        """Add an output of the graph."""
        index = self.tensor(dtype, shape, scales, name)
        self.graph.outputs.append(index)
        return index

    def operator(
        self,
        builtin: str,
        inputs: Sequence[int | None],
        outputs: Sequence[int],
        fields: Options | None = None,
        version: int = 1,
        custom_code: str = "",
    ) -> None:
        """Add an operator; an absent input is None."""
        code = schema.OperatorCodeT()
        code.builtinCode = getattr(schema.BuiltinOperator, builtin)
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)
        code.version = version
        code.customCode = custom_code or None
        self.model.operatorCodes.append(code)
        operator = schema.OperatorT()
        operator.opcodeIndex = len(self.model.operatorCodes) - 1
        operator.inputs = [-1 if index is None else index for index in inputs]
        operator.outputs = list(outputs)
        if fields is not None:
            self._set_options(operator, fields)
        self.graph.operators.append(operator)

    @staticmethod
    def _set_options(operator: Any, fields: Options) -> None:
        table = getattr(schema, f"{fields.type}T")()
        for name, content in fields.fields.items():
            attribute = re.sub(r"_([a-z])", lambda match: match[1].upper(), name)
            assert hasattr(table, attribute), f"{fields.type} has no {name}"
            setattr(table, attribute, content)
        number = getattr(schema.BuiltinOptions, fields.type, None)
        if number is not None:
            operator.builtinOptionsType, operator.builtinOptions = number, table
        else:
            operator.builtinOptions2Type = getattr(schema.BuiltinOptions2, fields.type)
            operator.builtinOptions2 = table

    def signature(self, inputs: Mapping[str, int], outputs: Mapping[str, int]) -> None:
        """Give inputs and outputs names of their own."""
        definition = schema.SignatureDefT()
        definition.signatureKey = "serving_default"
        definition.inputs = [_tensor_map(name, index) for name, index in inputs.items()]
        definition.outputs = [_tensor_map(name, index) for name, index in outputs.items()]
        self.model.signatureDefs = [definition]

    def content(self) -> bytes:
        """Return the bytes of the file."""
        builder = flatbuffers.Builder(1024)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def _tensor_map(name: str, index: int) -> Any:
    entry = schema.TensorMapT()
    entry.name, entry.tensorIndex = name, index
    return entry
