"""``import_tflite``: walks the operators in order, and reports everything that it cannot import at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from mrqc.errors import Diagnostic, InputError
from mrqc.frontends.constants import Constant, Lost, LostOperandError, UnsupportedError
from mrqc.frontends.files import module_name, source_name
from mrqc.frontends.tflite.emitter import Emitter
from mrqc.frontends.tflite.folding import fold
from mrqc.frontends.tflite.graph import ABSENT, Operator, OptionContent, Port, TensorRecord, TfliteGraph
from mrqc.frontends.tflite.reader import default_options, read_graph
from mrqc.frontends.tflite.site import Site, Support
from mrqc.frontends.tflite.support import RULES, hint_for
from mrqc.frontends.tflite.tensors import Tensor, read_constant, type_of
from mrqc.frontends.tflite.variables import without_variables
from mrqc.ir.graph import Module, Output
from mrqc.ir.location import Location
from mrqc.ir.op import Value
from mrqc.ir.rewrite import without_dead_statements

_OPEN = -1


def import_tflite(path: Path, batch: int | None = None) -> Module:
    """Return the model of a TFLite file as an nn.* module.

    Quantized operators become quantized ops with the file's own scales and zero points, float operators float ops.
    Inputs and outputs have the names of the file's signature, or of their tensors. Variables that the model keeps from
    run to run are states: an input of the variable's name, and an output for what it becomes.

    Args:
        path: The file.
        batch: What an open leading extent of an input becomes; 1 if None.

    Raises:
        InputError: The file cannot be read, is damaged, or holds something that cannot be imported; every such
            operator, tensor, input and output is listed. Or ``batch`` is given, and no extent is left open for it.
    """
    graph = read_graph(path)
    found = list(graph.problems())
    if found:
        raise InputError.collect(str(path), found)
    graph, states, found = without_variables(graph)
    if batch is not None and not any(_extents(graph.tensors[port.tensor])[:1] == (_OPEN,) for port in graph.inputs):
        raise InputError(f"{path}: the batch cannot become {batch}: no input leaves its leading extent open")
    importer = _Importer(graph, batch or 1, found)
    outputs = importer.run()
    if importer.found:
        raise InputError.collect(str(path), importer.found)
    module = Module(module_name(path.stem), importer.emitter.finish(outputs), states=states)
    return without_dead_statements(module.with_facts(source=source_name(path), format="tflite", **_hybrid(graph)))


def _hybrid(graph: TfliteGraph) -> Mapping[str, str]:
    """Return how the runtime rounds floats that meet weights of codes, for who writes the module as TFLite again.

    The meaning over the reals does not depend on it. Converters write one way for all layers.
    """
    choices = {
        bool(operator.options.get("asymmetric_quantize_inputs"))
        for operator in graph.operators
        if operator.builtin == "FULLY_CONNECTED"
        and graph.tensors[operator.inputs[0]].element_type == "FLOAT32"
        and graph.tensors[operator.inputs[1]].element_type == "INT8"
    }
    return {"hybrid": "asymmetric"} if choices == {True} else {}


class _Importer:
    """The state of one import."""

    def __init__(self, graph: TfliteGraph, batch: int, found: Iterable[Diagnostic] = ()) -> None:
        self.graph = graph
        self.batch = batch
        self.emitter = Emitter()
        self.tensors: dict[int, Tensor] = {}
        self.found: list[Diagnostic] = [*found]
        if graph.subgraphs > 1:
            hint = "only models of one graph, without control flow, are supported"
            self.found.append(Diagnostic(f"the file has {graph.subgraphs} subgraphs", hint=hint))

    def run(self) -> list[Output]:
        """Import everything; what cannot be imported is in ``found`` afterwards."""
        self._define_constants()
        for port in self.graph.inputs:
            self.tensors[port.tensor] = self._input(port)
        for operator in self.graph.operators:
            self.tensors.update(zip(operator.outputs, self._operator(operator), strict=True))
        return [output for port in self.graph.outputs if (output := self._output(port))]

    def _define_constants(self) -> None:
        used = {index for operator in self.graph.operators for index in operator.inputs}
        used.update(port.tensor for port in self.graph.outputs)
        computed = {index for operator in self.graph.operators for index in operator.outputs}
        # What reads a variable that could not be converted, which is reported already.
        self.tensors.update((index, Lost()) for index in used - computed - {ABSENT})
        for record in self.graph.tensors:
            if record.index not in used or (record.content is None and not record.is_variable):
                continue
            self.tensors[record.index] = Lost()
            try:
                if record.is_variable:
                    raise UnsupportedError(
                        f"tensor {record.name!r} keeps its content from one run to the next",
                        "variable tensors are not supported",
                    )
                self.tensors[record.index] = read_constant(record)
            except UnsupportedError as error:
                self._report(error)

    def _input(self, port: Port) -> Tensor:
        record = self.graph.tensors[port.tensor]
        try:
            return self.emitter.add_input(port.name, type_of(record, _fixed_shape(record, self.batch)))
        except UnsupportedError as error:
            self._report(error)
            return _placeholder(record)

    def _operator(self, operator: Operator) -> tuple[Tensor, ...]:
        try:
            return self._import(operator)
        except UnsupportedError as error:
            self._report(error, operator.where)
        except LostOperandError:
            pass
        # What nothing at run time flows into was meant to be a constant: no stand-in, or its users would complain.
        if not any(isinstance(self.tensors.get(index), Value) for index in operator.inputs):
            return (Lost(),) * len(operator.outputs)
        return tuple(_placeholder(self.graph.tensors[index]) for index in operator.outputs)

    def _import(self, operator: Operator) -> tuple[Tensor, ...]:
        folded = fold(operator, self.tensors, self.graph.tensors)
        if folded is not None:
            return (folded,)
        support = RULES.get(operator.builtin)
        if support is None:
            name = f"custom operator {operator.custom_code!r}" if operator.builtin == "CUSTOM" else operator.builtin
            raise UnsupportedError(f"{name} cannot be imported", hint_for(operator.builtin))
        _check_operands(operator, support)
        options = _options(operator, support)
        imported = support.handler(Site(operator, options, self.graph.tensors, self.tensors, self.emitter))
        results = imported if isinstance(imported, tuple) else (imported,)
        if len(results) != len(operator.outputs):
            raise UnsupportedError(f"it has {len(operator.outputs)} results, expected {len(results)}")
        return results

    def _output(self, port: Port) -> Output | None:
        tensor = self.tensors[port.tensor]
        try:
            if isinstance(tensor, Constant):
                tensor = self.emitter.constant(tensor, Location.of(port.name))
        except UnsupportedError as error:
            self._report(error, f"output {port.name!r}")
            return None
        return Output(port.name, tensor) if isinstance(tensor, Value) else None

    def _report(self, error: UnsupportedError, where: str = "") -> None:
        self.found.append(Diagnostic(error.reason, where, error.hint))


def _extents(record: TensorRecord) -> tuple[int, ...]:
    """Return the shape of an input with -1 where it is open."""
    return record.signature if len(record.signature) == len(record.shape) else record.shape


def _fixed_shape(record: TensorRecord, batch: int) -> tuple[int, ...]:
    """Return the shape of an input with an open batch fixed.

    Raises:
        UnsupportedError: Another extent is open.
    """
    extents = _extents(record)
    for axis, extent in enumerate(extents):
        if extent == _OPEN and axis > 0:
            raise UnsupportedError(
                f"input {record.name!r}: its extent on axis {axis} is not fixed",
                "only the batch, the leading extent, may be left open",
            )
    return (batch, *record.shape[1:]) if extents[:1] == (_OPEN,) else record.shape


def _placeholder(record: TensorRecord) -> Tensor:
    """Return a stand-in of the file's shape and type, so that the operators behind a fault are examined too."""
    try:
        return Value(record.name, type_of(record))
    except UnsupportedError:
        return Lost()


def _check_operands(operator: Operator, support: Support) -> None:
    least, most = support.operands
    if not least <= len(operator.inputs) <= most:
        takes = f"{least}" if least == most else f"{least} to {most}"
        raise UnsupportedError(f"it has {len(operator.inputs)} operands, expected {takes}")


def _options(operator: Operator, support: Support) -> Mapping[str, OptionContent]:
    """Return the operator's options, at the schema's defaults where the file has none.

    Raises:
        UnsupportedError: They are of another operator's type, or say what the handler does not know.
    """
    if not operator.options_type or not support.options_type:
        return default_options(support.options_type) if support.options_type else {}
    if operator.options_type != support.options_type:
        raise UnsupportedError(f"its options are of type {operator.options_type}, expected {support.options_type}")
    unknown = sorted(operator.written_options.difference(support.options))
    if unknown:
        raise UnsupportedError(f"options that are not supported: {', '.join(unknown)}")
    return operator.options
