"""The protobuf model as plain frozen records; nothing behind this file touches protobuf."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from onnx import AttributeProto, ModelProto, NodeProto, TypeProto, ValueInfoProto, defs
from onnx.checker import ValidationError
from onnx.shape_inference import InferenceError, infer_shapes

from mrqc.errors import Diagnostic
from mrqc.frontends.onnx.arrays import Unreadable, read_array

OLDEST_OPSET = 10
NEWEST_OPSET = defs.onnx_opset_version()
DEFAULT_DOMAINS = ("", "ai.onnx")

AttributeContent: TypeAlias = int | float | str | tuple[int, ...] | tuple[float, ...] | NDArray[Any] | Unreadable


@dataclass(frozen=True, slots=True)
class Node:
    """One node of the graph. An absent optional input is an empty name."""

    op_type: str
    domain: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, AttributeContent]

    @property
    def label(self) -> str:
        """The user's name for the node: its own, or that of its first named result."""
        return self.name or next((output for output in self.outputs if output), "")

    @property
    def where(self) -> str:
        """The node for a message."""
        return f"{self.op_type} node {self.label!r}"


@dataclass(frozen=True, slots=True)
class Port:
    """An input or output of the graph.

    Attributes:
        name: The user's name.
        element_type: ONNX's number of the element type; 0 where the file does not say.
        shape: Extents; a symbolic or missing one is its name, maybe empty. None where the file has no shape.
    """

    name: str
    element_type: int
    shape: tuple[int | str, ...] | None


@dataclass(frozen=True, slots=True)
class OnnxGraph:
    """What an ONNX file says.

    Attributes:
        opset: Version of the default operator set.
        inputs: Inputs that are not initializers.
        outputs: Outputs in order.
        nodes: Nodes in order.
        initializers: Constants by name; one that cannot be read holds the reason.
    """

    opset: int
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    nodes: tuple[Node, ...]
    initializers: Mapping[str, NDArray[Any] | Unreadable]

    def problems(self) -> Iterator[Diagnostic]:
        """Yield what makes this no graph at all: nothing to compute, names that clash or are undefined."""
        if not OLDEST_OPSET <= self.opset <= NEWEST_OPSET:
            found = f"found {self.opset}" if self.opset else "the file names none"
            yield Diagnostic(f"the operator set must have a version from {OLDEST_OPSET} to {NEWEST_OPSET}, {found}")
        if not self.nodes:
            yield Diagnostic("the graph has no nodes")
        if not self.inputs:
            yield Diagnostic("the graph has no inputs")
        if not self.outputs:
            yield Diagnostic("the graph has no outputs")
        defined = set(self.initializers)
        yield from self._clashes(defined)
        yield from self._output_problems(defined)

    def _clashes(self, defined: set[str]) -> Iterator[Diagnostic]:
        """Yield the names that are used before they are defined, or defined twice; fill in ``defined``."""
        for port in self.inputs:
            if port.name in defined or not port.name:
                yield Diagnostic("the name is empty or defined twice", f"input {port.name!r}")
            defined.add(port.name)
        for node in self.nodes:
            for name in dict.fromkeys(node.inputs):
                if name and name not in defined:
                    yield Diagnostic(f"uses tensor {name!r}, which nothing before it defines", node.where)
            for name in filter(None, node.outputs):
                if name in defined:
                    yield Diagnostic(f"defines tensor {name!r} a second time", node.where)
                defined.add(name)

    def _output_problems(self, defined: set[str]) -> Iterator[Diagnostic]:
        names = [port.name for port in self.outputs]
        for name in dict.fromkeys(names):
            if name not in defined:
                yield Diagnostic("nothing defines it", f"output {name!r}")
            if names.count(name) > 1:
                yield Diagnostic("the name is used twice", f"output {name!r}")


def with_batch(model: ModelProto, batch: int) -> ModelProto:
    """Return ``model`` with the leading extent of its inputs fixed where the file leaves it open."""
    copy = ModelProto()
    copy.CopyFrom(model)
    for info in copy.graph.input:
        extents = info.type.tensor_type.shape.dim
        if extents and extents[0].dim_value < 1:
            extents[0].dim_value = batch
    return copy


def read_graph(model: ModelProto) -> OnnxGraph:
    """Return the records of ``model``.

    Raises:
        UnicodeError: A name is not valid UTF-8; the file is damaged.
    """
    graph = model.graph
    opset = next((int(entry.version) for entry in model.opset_import if entry.domain in DEFAULT_DOMAINS), 0)
    initializers = {_text(tensor.name): read_array(tensor) for tensor in graph.initializer}
    for sparse in graph.sparse_initializer:
        initializers[_text(sparse.values.name)] = Unreadable("sparse tensors are not supported")
    return OnnxGraph(
        opset,
        tuple(port for info in graph.input if (port := _port(info)).name not in initializers),
        tuple(_port(info) for info in graph.output),
        tuple(_node(node) for node in graph.node),
        initializers,
    )


def inferred_ports(model: ModelProto) -> Mapping[str, Port]:
    """Return types and shapes that ONNX's own inference finds for the results of nodes.

    It serves only to go on after a node that cannot be imported, so that one run reports every such node.
    Where inference gives up, there is less to go on with.
    """
    try:
        inferred = infer_shapes(model, data_prop=True)
    except (InferenceError, ValidationError, ValueError, DecodeError):
        return {}
    return {info.name: _port(info) for info in inferred.graph.value_info}


def _text(name: str | bytes) -> str:
    """Return a name that can be printed; damaged ones come as bytes or with lone surrogates."""
    text = name if isinstance(name, str) else name.decode("utf-8")
    text.encode("utf-8")
    return text


def _node(node: NodeProto) -> Node:
    domain = _text(node.domain)
    return Node(
        _text(node.op_type),
        "" if domain in DEFAULT_DOMAINS else domain,
        _text(node.name),
        _without_absent_end(tuple(map(_text, node.input))),
        tuple(map(_text, node.output)),
        {_text(attribute.name): _content(attribute) for attribute in node.attribute},
    )


def _without_absent_end(names: tuple[str, ...]) -> tuple[str, ...]:
    while names and not names[-1]:
        names = names[:-1]
    return names


def _content(attribute: AttributeProto) -> AttributeContent:
    kind = attribute.type
    if kind == AttributeProto.INT:
        return int(attribute.i)
    if kind == AttributeProto.FLOAT:
        return float(attribute.f)
    if kind == AttributeProto.STRING:
        return attribute.s.decode("utf-8", "replace")
    if kind == AttributeProto.INTS:
        return tuple(int(number) for number in attribute.ints)
    if kind == AttributeProto.FLOATS:
        return tuple(float(number) for number in attribute.floats)
    if kind == AttributeProto.TENSOR:
        return read_array(attribute.t)
    known = {number: name for name, number in AttributeProto.AttributeType.items()}
    return Unreadable(f"attributes of kind {known.get(kind, kind)} are not supported")


def _port(info: ValueInfoProto) -> Port:
    type_: TypeProto = info.type
    if not type_.HasField("tensor_type"):
        return Port(_text(info.name), 0, None)
    tensor = type_.tensor_type
    if not tensor.HasField("shape"):
        return Port(_text(info.name), int(tensor.elem_type), None)
    shape = tuple(
        int(extent.dim_value) if extent.HasField("dim_value") else _text(extent.dim_param)
        for extent in tensor.shape.dim
    )
    return Port(_text(info.name), int(tensor.elem_type), shape)
