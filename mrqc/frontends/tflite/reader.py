# The tflite package has neither stubs nor annotations.
# pyright: reportMissingTypeStubs=false
"""From a path to the records of the graph: the one place that reads flatbuffers, and that bad ones cannot leave."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import flatbuffers
import numpy as np
import tflite
from numpy.typing import NDArray

from mrqc.errors import InputError
from mrqc.frontends.files import describe_bytes, read_model_bytes
from mrqc.frontends.tflite.graph import (
    Body,
    Operator,
    OptionContent,
    Port,
    QuantizationRecord,
    TensorRecord,
    TfliteGraph,
)

_Read = TypeVar("_Read")
_SCHEMA: Any = tflite
_BUILDER: Any = flatbuffers.Builder

_DAMAGE = (struct.error, IndexError, ValueError, TypeError, OverflowError, AttributeError)
"""What the accessors raise where an offset or a length in the file leads astray."""


def _names_of(enumeration: Any) -> Mapping[int, str]:
    members: Mapping[str, object] = enumeration.__dict__
    return {number: name for name, number in members.items() if isinstance(number, int)}


_OPERATOR_NAMES = _names_of(_SCHEMA.BuiltinOperator)
_TYPE_NAMES = _names_of(_SCHEMA.TensorType)
_OPTIONS_NAMES = _names_of(_SCHEMA.BuiltinOptions)
_MORE_OPTIONS_NAMES = _names_of(_SCHEMA.BuiltinOptions2)
_WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def read_graph(path: Path) -> TfliteGraph:
    """Return the first graph of a TFLite file, and what it runs once; constants are views of the file's bytes.

    Raises:
        InputError: The file cannot be read, is not TFLite, damaged or cut short.
    """
    raw = read_model_bytes(path, "a TFLite file")
    if raw[4:8] != b"TFL3":
        raise InputError(f"{path}: not a TFLite model: found {describe_bytes(raw)}")
    try:
        return _Reader(raw).graph()
    except _DAMAGE as error:
        reason = str(error) if isinstance(error, _DamageError) else "an offset in it leads nowhere"
        raise InputError(f"{path}: the file is damaged or cut short: {reason}") from None


class _DamageError(ValueError):
    """The file contradicts itself."""


class _Reader:
    """Reads everything into records; no accessor of flatbuffers survives it."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._model = _SCHEMA.Model.GetRootAs(raw)
        # In an honest file each entry has bytes of its own. Entries that share theirs could keep us busy for ever.
        self._entries_left = len(raw)

    def graph(self) -> TfliteGraph:
        subgraphs = int(self._model.SubgraphsLength())
        if subgraphs == 0:
            raise _DamageError("there is no graph in it")
        graph = self._model.Subgraphs(0)
        body = self._body(graph)
        labels = [tensor.name for tensor in body.tensors]
        inputs = _integers(self._vector(graph, "Inputs"))
        outputs = _integers(self._vector(graph, "Outputs"))
        input_names, output_names = self._signature_names()
        # In a damaged file the number of graphs says nothing of how many there are.
        numbers = {operator.options.get("init_subgraph_index") for operator in body.operators}
        run_once = sorted(number for number in numbers if isinstance(number, int) and 0 < number < subgraphs)
        return TfliteGraph(
            int(self._model.Version()),
            subgraphs,
            body.tensors,
            body.operators,
            _ports(inputs, input_names, labels),
            _ports(outputs, output_names, labels),
            {number: self._body(self._model.Subgraphs(number)) for number in run_once},
        )

    def _body(self, graph: Any) -> Body:
        tensors = self._list(graph.TensorsLength(), lambda index: self._tensor(index, graph.Tensors(index)))
        labels = [tensor.name for tensor in tensors]
        operators = self._list(
            graph.OperatorsLength(), lambda index: self._operator(index, graph.Operators(index), labels)
        )
        return Body(tensors, operators)

    # Entries

    def _tensor(self, index: int, tensor: Any) -> TensorRecord:
        signature = self._vector(tensor, "ShapeSignature")
        number = int(tensor.Type())
        return TensorRecord(
            index,
            self._text(tensor.Name()) or f"tensor_{index}",
            _TYPE_NAMES.get(number, f"type number {number}"),
            _integers(self._vector(tensor, "Shape")),
            _integers(signature),
            self._content(int(tensor.Buffer())),
            self._quantization(tensor.Quantization()),
            bool(tensor.IsVariable()),
            tensor.Sparsity() is not None,
        )

    def _content(self, index: int) -> NDArray[np.uint8] | None:
        if index >= self._model.BuffersLength():
            raise _DamageError(f"a tensor refers to buffer {index}, there are {self._model.BuffersLength()}")
        buffer = self._model.Buffers(index)
        # Large models keep the bytes behind the flatbuffer; offsets 0 and 1 mean that this one does not.
        start, size = int(buffer.Offset()), int(buffer.Size())
        if start > 1:
            if start + size > len(self._raw):
                raise _DamageError(f"buffer {index} ends behind the end of the file")
            return np.frombuffer(self._raw, np.uint8, size, start)
        return buffer.DataAsNumpy() if buffer.DataLength() else None

    def _quantization(self, quantization: Any) -> QuantizationRecord:
        if quantization is None:
            return QuantizationRecord()
        return QuantizationRecord(
            tuple(float(scale) for scale in self._vector(quantization, "Scale")),
            _integers(self._vector(quantization, "ZeroPoint")),
            int(quantization.QuantizedDimension()),
            int(quantization.DetailsType()) != 0,
        )

    def _operator(self, index: int, operator: Any, labels: list[str]) -> Operator:
        builtin, custom_code, version = self._operator_code(int(operator.OpcodeIndex()))
        outputs = _integers(self._vector(operator, "Outputs"))
        first = outputs[0] if outputs else -1
        options_type, options, written = self._options(operator)
        return Operator(
            index,
            builtin,
            custom_code,
            version,
            _integers(self._vector(operator, "Inputs")),
            outputs,
            # Converters join the names of all that they fuse.
            labels[first].partition(";")[0] if 0 <= first < len(labels) else "",
            options_type,
            options,
            written,
        )

    def _operator_code(self, index: int) -> tuple[str, str, int]:
        """Return the operator's name, its custom name and its version."""
        if index >= self._model.OperatorCodesLength():
            raise _DamageError(f"an operator has code {index}, there are {self._model.OperatorCodesLength()}")
        code = self._model.OperatorCodes(index)
        # Older files have only the field of 8 bits; newer ones keep a stand-in for large codes there.
        number = max(int(code.DeprecatedBuiltinCode()), int(code.BuiltinCode()))
        custom_code = self._text(code.CustomCode())
        return _OPERATOR_NAMES.get(number, f"number {number}"), custom_code, int(code.Version())

    def _options(self, operator: Any) -> tuple[str, Mapping[str, OptionContent], frozenset[str]]:
        """Return the type of an operator's options, their fields, and which of these differ from the default."""
        name, table = _OPTIONS_NAMES.get(int(operator.BuiltinOptionsType()), "unknown"), operator.BuiltinOptions()
        if name == "NONE":
            number = int(operator.BuiltinOptions2Type())
            name, table = _MORE_OPTIONS_NAMES.get(number, "unknown"), operator.BuiltinOptions2()
        if name == "NONE" or table is None:
            return "", {}, frozenset()
        schema = getattr(_SCHEMA, name, None)
        if schema is None:
            return name, {}, frozenset()
        accessor = schema()
        accessor.Init(table.Bytes, table.Pos)
        options = dict(self.fields(accessor))
        defaults = default_options(name)
        written = frozenset(field for field, content in options.items() if content != defaults[field])
        return name, options, written

    def fields(self, accessor: Any) -> Iterator[tuple[str, OptionContent]]:
        """Yield the fields of a table: numbers, and lists of them."""
        for name in _field_names(accessor.__class__):
            if hasattr(accessor, f"{name}AsNumpy"):
                vector = self._vector(accessor, name)
                yield _schema_name(name), tuple(vector.tolist())
            else:
                content = getattr(accessor, name)()
                yield _schema_name(name), self._text(content) if isinstance(content, bytes | None) else content

    def _signature_names(self) -> tuple[Mapping[int, str], Mapping[int, str]]:
        """Return the names that the first signature of the graph has for inputs and for outputs, by tensor."""
        for index in range(self._counted(self._model.SignatureDefsLength())):
            signature = self._model.SignatureDefs(index)
            if int(signature.SubgraphIndex()) == 0:
                return (
                    self._tensor_names(signature.InputsLength(), signature.Inputs),
                    self._tensor_names(signature.OutputsLength(), signature.Outputs),
                )
        return {}, {}

    def _tensor_names(self, length: int, entry: Callable[[int], Any]) -> Mapping[int, str]:
        maps = self._list(length, entry)
        return {int(entry.TensorIndex()): self._text(entry.Name()) for entry in reversed(maps)}

    # Parts of entries

    def _counted(self, length: int) -> int:
        self._entries_left -= length
        if self._entries_left < 0:
            raise _DamageError("a list in it has more entries than the file has room for")
        return length

    def _list(self, length: int, read: Callable[[int], _Read]) -> tuple[_Read, ...]:
        return tuple(read(index) for index in range(self._counted(length)))

    def _vector(self, accessor: Any, name: str) -> NDArray[Any]:
        if not self._counted(int(getattr(accessor, f"{name}Length")())):
            return np.empty(0, np.int32)
        return cast("NDArray[Any]", getattr(accessor, f"{name}AsNumpy")())

    def _text(self, content: bytes | None) -> str:
        self._counted(len(content or b""))
        return (content or b"").decode("utf-8", "replace")


@cache
def default_options(name: str) -> Mapping[str, OptionContent]:
    """Return the fields of a table of options, ``Conv2DOptions``, at the defaults of the schema."""
    builder = _BUILDER(16)
    builder.StartObject(0)
    builder.Finish(builder.EndObject())
    raw = bytes(builder.Output())
    return dict(_Reader(raw).fields(getattr(_SCHEMA, name).GetRootAs(raw)))


@cache
def _field_names(schema: type) -> tuple[str, ...]:
    """Return the names of the accessors that need no index: one for each field."""
    methods = {name: method for name, method in vars(schema).items() if callable(method) and name != "Init"}
    vectors = {name.removesuffix("AsNumpy") for name in methods if name.endswith("AsNumpy")}
    about_vectors = {f"{name}{part}" for name in vectors for part in ("AsNumpy", "Length", "IsNone")}
    return tuple(
        name
        for name, method in methods.items()
        if name in vectors or (name not in about_vectors and method.__code__.co_argcount == 1)
    )


def _schema_name(accessor: str) -> str:
    """Return a field's name as the schema spells it: ``stride_w`` for ``StrideW``."""
    return _WORD_START.sub("_", accessor).lower()


def _integers(vector: NDArray[Any]) -> tuple[int, ...]:
    return tuple(vector.tolist())


def _ports(indices: tuple[int, ...], names: Mapping[int, str], labels: list[str]) -> tuple[Port, ...]:
    """Return the ports with the names of the signature, or of their tensors; a tensor's second name has a number."""
    ports: list[Port] = []
    taken: set[str] = set()
    for index in indices:
        wanted = names.get(index) or (labels[index] if 0 <= index < len(labels) else f"tensor_{index}")
        name, suffix = wanted, 0
        while name in taken:
            suffix += 1
            name = f"{wanted}_{suffix}"
        taken.add(name)
        ports.append(Port(name, index))
    return tuple(ports)
