"""``import_onnx``: walks the nodes in order, and reports everything that it cannot import at once."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from onnx import ModelProto

from mrqc.errors import Diagnostic, InputError
from mrqc.frontends.constants import Constant, Lost, LostOperandError, UnsupportedError
from mrqc.frontends.files import module_name, source_name
from mrqc.frontends.onnx.arrays import Unreadable, element_type_name, numpy_type
from mrqc.frontends.onnx.emitter import Emitter
from mrqc.frontends.onnx.graph import Node, OnnxGraph, Port, inferred_ports, read_graph, with_batch
from mrqc.frontends.onnx.inputs import input_type
from mrqc.frontends.onnx.reader import read_model
from mrqc.frontends.onnx.site import Site
from mrqc.frontends.onnx.support import RULES, hint_for
from mrqc.frontends.onnx.tensors import Activation, Tensor
from mrqc.ir.dtype import DType
from mrqc.ir.graph import Module, Output
from mrqc.ir.location import Location
from mrqc.ir.op import Value
from mrqc.ir.rewrite import without_dead_statements
from mrqc.ir.types import Element, TensorType


def import_onnx(path: Path, batch: int | None = None) -> Module:
    """Return the model of an ONNX file as a raw nn.* module.

    Float operators stay float, between ``nn.dequantize`` and ``nn.quantize``; pass ``fold-qdq`` makes
    quantized ones of them. Images are NHWC inside; inputs and outputs keep the file's names, layout and
    element types.

    Args:
        path: The file.
        batch: What a symbolic leading extent becomes; 1 if None.

    Raises:
        InputError: The file cannot be read, or holds something that cannot be imported; every such node,
            tensor, input and output is listed. Or ``batch`` is given, and no extent is left open for it.
    """
    model = read_model(path)
    try:
        model = _with_batch(model, batch, path)
        graph = read_graph(model)
    except UnicodeError:
        raise InputError(f"{path}: the file is damaged: a name in it is not valid UTF-8") from None
    found = list(graph.problems())
    if found:
        raise InputError.collect(str(path), found)
    importer = _Importer(graph, model)
    outputs = importer.run()
    if importer.found:
        raise InputError.collect(str(path), importer.found)
    module = Module(module_name(path.stem), importer.emitter.finish(outputs))
    return without_dead_statements(module.with_facts(source=source_name(path), format="onnx"))


def _with_batch(model: ModelProto, batch: int | None, path: Path) -> ModelProto:
    fixed = with_batch(model, batch or 1)
    if batch is not None and fixed == model:
        raise InputError(f"{path}: the batch cannot become {batch}: no input leaves its leading extent open")
    return fixed


class _Importer:
    """The state of one import."""

    def __init__(self, graph: OnnxGraph, model: ModelProto) -> None:
        self.graph = graph
        self.model = model
        self.emitter = Emitter()
        self.tensors: dict[str, Tensor] = {}
        self.found: list[Diagnostic] = []

    def run(self) -> list[Output]:
        """Import everything; what cannot be imported is in ``found`` afterwards."""
        self._define_initializers()
        for port in self.graph.inputs:
            self.tensors[port.name] = self._input(port)
        for node in self.graph.nodes:
            self._define(node, self._node(node))
        return [output for port in self.graph.outputs if (output := self._output(port))]

    def _define_initializers(self) -> None:
        used = {name for node in self.graph.nodes for name in node.inputs}
        for name, array in self.graph.initializers.items():
            if not isinstance(array, Unreadable):
                self.tensors[name] = Constant(name, array)
                continue
            self.tensors[name] = Lost()
            if name in used:
                self.found.append(Diagnostic(array.reason, f"initializer {name!r}"))

    def _input(self, port: Port) -> Tensor:
        try:
            return Activation.plain(self.emitter.add_input(port.name, input_type(self.graph, port)))
        except UnsupportedError as error:
            self.found.append(Diagnostic(error.reason, f"input {port.name!r}", error.hint))
            return self._placeholder(port)

    def _node(self, node: Node) -> tuple[Tensor, ...]:
        try:
            return self._import(node)
        except UnsupportedError as error:
            self.found.append(Diagnostic(error.reason, node.where, error.hint))
        except LostOperandError:
            pass
        return ()

    def _import(self, node: Node) -> tuple[Tensor, ...]:
        rule = RULES.get((node.domain, node.op_type))
        if rule is None:
            of_domain = f" of domain {node.domain!r}" if node.domain else ""
            raise UnsupportedError(f"operator {node.op_type}{of_domain} cannot be imported", hint_for(node.op_type))
        unknown = sorted(set(node.attributes) - set(rule.attributes))
        if unknown:
            raise UnsupportedError(f"unknown attributes: {', '.join(unknown)}")
        if len(node.inputs) > rule.operands:
            raise UnsupportedError(f"{len(node.inputs)} inputs are too many, it takes {rule.operands}")
        if not node.outputs or any(node.outputs[rule.results :]):
            many = "one result is" if rule.results == 1 else f"{rule.results} results are"
            raise UnsupportedError(f"only {many} supported")
        results = rule.handler(Site(node, self.graph.opset, self.tensors, self.emitter))
        return results if isinstance(results, tuple) else (results,)

    def _define(self, node: Node, results: tuple[Tensor, ...]) -> None:
        # What nothing at run time flows into was meant to be a constant: no stand-in, or its users would complain.
        at_run_time = any(isinstance(self.tensors.get(name), Activation) for name in node.inputs)
        for index, name in enumerate(node.outputs):
            result = results[index] if index < len(results) else Lost()
            lost = isinstance(result, Lost) and at_run_time
            if name:
                self.tensors[name] = self._placeholder(self._inferred.get(name)) if lost else result

    @cached_property
    def _inferred(self) -> Mapping[str, Port]:
        return inferred_ports(self.model)

    def _placeholder(self, port: Port | None) -> Tensor:
        """Return a stand-in of that shape and type, so that the nodes behind a fault are examined too."""
        if port is None or port.shape is None:
            return Lost()
        numpy = numpy_type(port.element_type)
        dtype = DType.of(numpy) if numpy is not None else None
        shape = tuple(extent for extent in port.shape if isinstance(extent, int) and extent > 0)
        if dtype is None or len(shape) != len(port.shape):
            return Lost()
        return Activation.plain(Value(port.name, TensorType(shape, Element(dtype))))

    def _output(self, port: Port) -> Output | None:
        tensor = self.tensors[port.name]
        location = Location.of(port.name)
        try:
            if isinstance(tensor, Constant):
                tensor = Activation.plain(self.emitter.constant(tensor, location))
            if isinstance(tensor, Lost):
                return None
            value = self.emitter.logical(tensor, location)
            _check_declared(port, value)
        except UnsupportedError as error:
            self.found.append(Diagnostic(error.reason, f"output {port.name!r}", error.hint))
            return None
        return Output(port.name, value)


def _check_declared(port: Port, value: Value) -> None:
    numpy = numpy_type(port.element_type)
    if port.element_type and numpy != value.type.dtype.numpy:
        raise UnsupportedError(
            f"declared as {element_type_name(port.element_type)}, but computed as {value.type.dtype}"
        )
