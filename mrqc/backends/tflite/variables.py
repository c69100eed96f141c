"""States of a module as variables of a TFLite file, which the runtime keeps from one run to the next."""

from __future__ import annotations

from collections.abc import Mapping

from mrqc.backends.inputs import initial_states
from mrqc.backends.tflite.file import FileRecord, OperatorRecord, Options, TensorRecord
from mrqc.backends.tflite.writer import Writer
from mrqc.ir import Data, Module, Value

_INITIALIZER = 1
"""The number of the graph that sets variables up."""


def read_states(module: Module, writer: Writer) -> Mapping[str, int]:
    """Write what reads every state at the start of a run, and the graph that sets them up before the first.

    Returns:
        The handle of each state's variable, by the name of the output that it takes over.
    """
    if not module.states:
        return {}
    values = {value.name: value for value in module.graph.inputs}
    first = initial_states(module)
    initializer = FileRecord("initialize", "")
    writer.append("CALL_ONCE", (), (), Options("CallOnceOptions", (("InitSubgraphIndex", _INITIALIZER),)))
    handles: dict[str, int] = {}
    for state in module.states:
        value = values[state.input]
        _initialize(initializer, state.input, value, Data.of(first[state.input], value.type.dtype))
        writer.file.tensors.append(TensorRecord(f"{state.input}_handle", (), None))
        handle = len(writer.file.tensors) - 1
        writer.append("VAR_HANDLE", (), (handle,), _variable(state.input))
        writer.append("READ_VARIABLE", (handle,), (writer.index_of[value],), Options("ReadVariableOptions"))
        handles[state.output] = handle
    writer.file.initializer = initializer
    return handles


def write_state(handle: int, tensor: int, writer: Writer) -> None:
    """Write what keeps a tensor in a variable until the next run."""
    writer.append("ASSIGN_VARIABLE", (handle, tensor), (), Options("AssignVariableOptions"))


def _initialize(graph: FileRecord, name: str, value: Value, data: Data) -> None:
    """Write what sets a variable up."""
    type_ = value.type
    graph.tensors.append(TensorRecord(f"{name}_handle", (), None))
    graph.tensors.append(TensorRecord(f"{name}_initial", type_.shape, type_.dtype, type_.quantization, data))
    handle, initial = len(graph.tensors) - 2, len(graph.tensors) - 1
    graph.operators.append(OperatorRecord("VAR_HANDLE", 1, (), (handle,), _variable(name)))
    options = Options("AssignVariableOptions")
    graph.operators.append(OperatorRecord("ASSIGN_VARIABLE", 1, (handle, initial), (), options))


def _variable(name: str) -> Options:
    return Options("VarHandleOptions", (("SharedName", name),))
