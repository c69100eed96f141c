"""A TFLite file as plain records, and their bytes.

The schema is that of the ``tflite`` package; docs of the fields: the schema itself, ``schema.fbs``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import flatbuffers
import numpy as np
import tflite
from numpy.typing import NDArray

from mrqc.ir import Data, DType, Quantization

FILE_IDENTIFIER = b"TFL3"
SCHEMA_VERSION = 3
_BUFFER_ALIGNMENT = 16
_LARGEST_DEPRECATED_CODE = 127
"""Operators up to this one are named in a field of one byte as well, for old readers."""

TENSOR_TYPES: dict[DType, int] = {
    DType.F32: tflite.TensorType.FLOAT32,
    DType.I8: tflite.TensorType.INT8,
    DType.U8: tflite.TensorType.UINT8,
    DType.I16: tflite.TensorType.INT16,
    DType.I32: tflite.TensorType.INT32,
    DType.I64: tflite.TensorType.INT64,
}


@dataclass(frozen=True, slots=True)
class TensorRecord:
    """One tensor.

    Attributes:
        name: As the file has it.
        shape: Extents.
        dtype: Storage; None for the handle of a variable.
        quantization: Scales and zero points, if any.
        data: The elements of a constant.
    """

    name: str
    shape: tuple[int, ...]
    dtype: DType | None
    quantization: Quantization | None = None
    data: Data | None = None


@dataclass(frozen=True, slots=True)
class Options:
    """The table of an operator's options.

    Attributes:
        table: Its name in the schema, such as ``Conv2DOptions``.
        fields: Names in the schema and contents, plain numbers and texts.
    """

    table: str
    fields: tuple[tuple[str, int | float | bool | str], ...] = ()


@dataclass(frozen=True, slots=True)
class OperatorRecord:
    """One operator: its name in the schema, version, operands (-1 where absent), results and options."""

    builtin: str
    version: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Options | None = None


@dataclass
class FileRecord:
    """A file with one subgraph, and maybe a second one, which the first runs once."""

    name: str
    description: str
    tensors: list[TensorRecord] = field(default_factory=list[TensorRecord])
    operators: list[OperatorRecord] = field(default_factory=list[OperatorRecord])
    inputs: tuple[int, ...] = ()
    outputs: tuple[int, ...] = ()
    initializer: FileRecord | None = None

    def to_bytes(self) -> bytes:
        """Return the file."""
        return _Serializer().file(self)


class _Serializer:
    """One flatbuffer under construction; what is referred to is written before what refers to it."""

    def __init__(self) -> None:
        self._builder = flatbuffers.Builder(1 << 16)

    def file(self, record: FileRecord) -> bytes:
        builder = self._builder
        graphs = [record, *([] if record.initializer is None else [record.initializer])]
        codes = list(dict.fromkeys((op.builtin, op.version) for graph in graphs for op in graph.operators))
        # Buffer 0 is the empty one, for everything that is computed.
        tensors = [tensor for graph in graphs for tensor in graph.tensors]
        datas = list(dict.fromkeys(tensor.data for tensor in tensors if tensor.data is not None))
        buffer_of = {data: index for index, data in enumerate(datas, 1)}
        buffers = self._tables(tflite.ModelStartBuffersVector, [self._buffer(data) for data in (None, *datas)])
        subgraphs = self._tables(
            tflite.ModelStartSubgraphsVector, [self._subgraph(graph, buffer_of, codes) for graph in graphs]
        )
        operator_codes = self._tables(tflite.ModelStartOperatorCodesVector, [self._code(*code) for code in codes])
        description = builder.CreateString(record.description)
        tflite.ModelStart(builder)
        tflite.ModelAddVersion(builder, SCHEMA_VERSION)
        tflite.ModelAddOperatorCodes(builder, operator_codes)
        tflite.ModelAddSubgraphs(builder, subgraphs)
        tflite.ModelAddDescription(builder, description)
        tflite.ModelAddBuffers(builder, buffers)
        builder.Finish(tflite.ModelEnd(builder), FILE_IDENTIFIER)
        return bytes(builder.Output())

    def _subgraph(self, record: FileRecord, buffer_of: Mapping[Data, int], codes: Sequence[tuple[str, int]]) -> int:
        builder = self._builder
        tensors = [
            self._tensor(tensor, 0 if tensor.data is None else buffer_of[tensor.data]) for tensor in record.tensors
        ]
        operators = [self._operator(op, codes.index((op.builtin, op.version))) for op in record.operators]
        tensor_vector = self._tables(tflite.SubGraphStartTensorsVector, tensors)
        operator_vector = self._tables(tflite.SubGraphStartOperatorsVector, operators)
        inputs, outputs = self._numbers(record.inputs, np.int32), self._numbers(record.outputs, np.int32)
        name = builder.CreateString(record.name)
        tflite.SubGraphStart(builder)
        tflite.SubGraphAddTensors(builder, tensor_vector)
        tflite.SubGraphAddInputs(builder, inputs)
        tflite.SubGraphAddOutputs(builder, outputs)
        tflite.SubGraphAddOperators(builder, operator_vector)
        tflite.SubGraphAddName(builder, name)
        return tflite.SubGraphEnd(builder)

    def _buffer(self, data: Data | None) -> int:
        builder = self._builder
        content: int | None = None
        if data is not None:
            raw = np.frombuffer(data.to_bytes(), np.uint8)
            # Kernels read the elements in place: the start of the vector must be aligned.
            builder.StartVector(1, raw.size, _BUFFER_ALIGNMENT)
            builder.head -= raw.size
            builder.Bytes[builder.Head() : builder.Head() + raw.size] = raw.tobytes()
            content = builder.EndVector()
        tflite.BufferStart(builder)
        if content is not None:
            tflite.BufferAddData(builder, content)
        return tflite.BufferEnd(builder)

    def _tensor(self, tensor: TensorRecord, buffer: int) -> int:
        builder = self._builder
        name = builder.CreateString(tensor.name)
        shape = self._numbers(tensor.shape, np.int32)
        quantization = None if tensor.quantization is None else self._quantization(tensor.quantization)
        tflite.TensorStart(builder)
        tflite.TensorAddShape(builder, shape)
        tflite.TensorAddType(
            builder, tflite.TensorType.RESOURCE if tensor.dtype is None else TENSOR_TYPES[tensor.dtype]
        )
        tflite.TensorAddBuffer(builder, buffer)
        tflite.TensorAddName(builder, name)
        if quantization is not None:
            tflite.TensorAddQuantization(builder, quantization)
        tflite.TensorAddHasRank(builder, True)
        return tflite.TensorEnd(builder)

    def _quantization(self, quantization: Quantization) -> int:
        builder = self._builder
        scales = self._numbers(quantization.scales, np.float32)
        zero_points = self._numbers(quantization.zero_points, np.int64)
        tflite.QuantizationParametersStart(builder)
        tflite.QuantizationParametersAddScale(builder, scales)
        tflite.QuantizationParametersAddZeroPoint(builder, zero_points)
        tflite.QuantizationParametersAddQuantizedDimension(builder, quantization.axis or 0)
        return tflite.QuantizationParametersEnd(builder)

    def _operator(self, operator: OperatorRecord, code: int) -> int:
        builder = self._builder
        inputs, outputs = self._numbers(operator.inputs, np.int32), self._numbers(operator.outputs, np.int32)
        options = None if operator.options is None else self._options(operator.options)
        tflite.OperatorStart(builder)
        tflite.OperatorAddOpcodeIndex(builder, code)
        tflite.OperatorAddInputs(builder, inputs)
        tflite.OperatorAddOutputs(builder, outputs)
        if operator.options is not None and options is not None:
            kind: int = getattr(tflite.BuiltinOptions, operator.options.table)
            tflite.OperatorAddBuiltinOptionsType(builder, kind)
            tflite.OperatorAddBuiltinOptions(builder, options)
        return tflite.OperatorEnd(builder)

    def _options(self, options: Options) -> int:
        builder = self._builder
        fields = [
            (name, builder.CreateString(text) if isinstance(text, str) else text) for name, text in options.fields
        ]
        getattr(tflite, f"{options.table}Start")(builder)
        for name, content in fields:
            getattr(tflite, f"{options.table}Add{name}")(builder, content)
        return getattr(tflite, f"{options.table}End")(builder)

    def _code(self, builtin: str, version: int) -> int:
        builder = self._builder
        code: int = getattr(tflite.BuiltinOperator, builtin)
        tflite.OperatorCodeStart(builder)
        tflite.OperatorCodeAddDeprecatedBuiltinCode(builder, min(code, _LARGEST_DEPRECATED_CODE))
        tflite.OperatorCodeAddBuiltinCode(builder, code)
        tflite.OperatorCodeAddVersion(builder, version)
        return tflite.OperatorCodeEnd(builder)

    def _tables(self, start: Callable[[Any, int], Any], offsets: Sequence[int]) -> int:
        start(self._builder, len(offsets))
        for offset in reversed(offsets):
            self._builder.PrependUOffsetTRelative(offset)
        return self._builder.EndVector()

    def _numbers(self, numbers: Sequence[int | float], dtype: type[np.generic]) -> int:
        array: NDArray[Any] = np.asarray(numbers, dtype)
        return self._builder.CreateNumpyVector(array)
