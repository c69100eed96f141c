"""What a TFLite file says, as plain frozen records; nothing behind this file touches flatbuffers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from mrqc.errors import Diagnostic

ABSENT = -1
"""The tensor index of an optional operand that is not there."""

OptionContent: TypeAlias = int | float | bool | str | tuple[int, ...] | tuple[float, ...]


@dataclass(frozen=True, slots=True)
class QuantizationRecord:
    """Scales and zero points as the file has them.

    Attributes:
        scales: Single-precision numbers; none for a plain tensor.
        zero_points: As many, or none for all zero.
        axis: The axis that several scales run along.
        is_custom: Whether the file has a scheme of its own instead.
    """

    scales: tuple[float, ...] = ()
    zero_points: tuple[int, ...] = ()
    axis: int = 0
    is_custom: bool = False


@dataclass(frozen=True, eq=False, slots=True)
class TensorRecord:
    """A tensor of the graph.

    Attributes:
        index: Its number in the file.
        name: The user's name, or one made from the index.
        element_type: The schema's name of the type: ``INT8``.
        shape: Extents, -1 where a converter left one open.
        signature: Extents with -1 where the model's author left one open; empty where the file does not say.
        content: The bytes of a constant, a view of the file; None for what is computed.
        quantization: Scales and zero points.
        is_variable: Whether it keeps its content from one run to the next.
        is_sparse: Whether only its non-zero elements are stored.
    """

    index: int
    name: str
    element_type: str
    shape: tuple[int, ...]
    signature: tuple[int, ...]
    content: NDArray[np.uint8] | None
    quantization: QuantizationRecord
    is_variable: bool
    is_sparse: bool


@dataclass(frozen=True, slots=True)
class Operator:
    """One operator of the graph.

    Attributes:
        index: Its number in the file.
        builtin: The schema's name: ``CONV_2D``; empty where its code is not in the file.
        custom_code: The name of a custom operator, else empty.
        version: The version of the operator that the file needs.
        inputs: Tensor indices; -1 for an absent one.
        outputs: Tensor indices.
        label: The user's name for the place: that of its first result.
        options_type: The schema's name of its options: ``Conv2DOptions``; empty without any.
        options: Every field, absent ones at the default of the schema.
        written_options: The fields that differ from the default of the schema.
    """

    index: int
    builtin: str
    custom_code: str
    version: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    label: str
    options_type: str
    options: Mapping[str, OptionContent]
    written_options: frozenset[str]

    @property
    def where(self) -> str:
        """The operator for a message."""
        return f"{self.builtin or 'unknown'} operator {self.index} {self.label!r}"


@dataclass(frozen=True, slots=True)
class Port:
    """An input or output of the graph: the user's name for it and its tensor."""

    name: str
    tensor: int


@dataclass(frozen=True, slots=True)
class Body:
    """What another graph of the file does.

    Attributes:
        tensors: By index.
        operators: In order of execution.
    """

    tensors: tuple[TensorRecord, ...]
    operators: tuple[Operator, ...]


@dataclass(frozen=True, slots=True)
class TfliteGraph:
    """What a TFLite file says.

    Attributes:
        version: Version of the file format.
        subgraphs: How many graphs the file has; only the first is here.
        tensors: By index.
        operators: In order of execution.
        inputs: In order.
        outputs: In order.
        initializers: The other graphs that the first one runs once, by their number.
    """

    version: int
    subgraphs: int
    tensors: tuple[TensorRecord, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    initializers: Mapping[int, Body] = field(default_factory=lambda: dict[int, Body]())

    def problems(self) -> Iterator[Diagnostic]:
        """Yield what makes this no graph at all: nothing to compute, indices that are wild, undefined or clash."""
        if self.version != 3:
            yield Diagnostic(f"the file format must have version 3, found {self.version}")
        for what, number in (("operators", self.operators), ("inputs", self.inputs), ("outputs", self.outputs)):
            if not number:
                yield Diagnostic(f"the graph has no {what}")
        wild = list(self._wild_indices())
        yield from wild
        if not wild:
            yield from self._definition_problems()

    def _wild_indices(self) -> Iterator[Diagnostic]:
        """Yield the tensors that are referred to but not in the file."""
        for role, ports in (("input", self.inputs), ("output", self.outputs)):
            for port in ports:
                if not 0 <= port.tensor < len(self.tensors):
                    yield self._wild(port.tensor, f"{role} {port.name!r}")
        for operator in self.operators:
            for index in dict.fromkeys(operator.inputs):
                if index != ABSENT and not 0 <= index < len(self.tensors):
                    yield self._wild(index, operator.where)
            for index in dict.fromkeys(operator.outputs):
                if not 0 <= index < len(self.tensors):
                    yield self._wild(index, operator.where)

    def _wild(self, index: int, where: str) -> Diagnostic:
        return Diagnostic(f"refers to tensor {index}, the file has {len(self.tensors)}", where)

    def _definition_problems(self) -> Iterator[Diagnostic]:
        """Yield what is used before it is defined, or defined twice."""
        defined = {tensor.index for tensor in self.tensors if tensor.content is not None or tensor.is_variable}
        for port in self.inputs:
            if port.tensor in defined:
                yield Diagnostic("its tensor is constant, or an input already", f"input {port.name!r}")
            defined.add(port.tensor)
        for operator in self.operators:
            for index in dict.fromkeys(operator.inputs):
                if index != ABSENT and index not in defined:
                    name = self.tensors[index].name
                    yield Diagnostic(f"uses tensor {name!r}, which nothing before it defines", operator.where)
            for index in operator.outputs:
                if index in defined:
                    name = self.tensors[index].name
                    yield Diagnostic(f"computes tensor {name!r}, which is defined already", operator.where)
                defined.add(index)
        for port in self.outputs:
            if port.tensor not in defined:
                yield Diagnostic("nothing defines it", f"output {port.name!r}")
