"""Files with variables, which a graph that runs once sets up."""

from __future__ import annotations

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray
from tflite_files import Scales, TfliteFile, options

CODES = Scales.one(0.5, 3)
SHAPE = (1, 4)


class Variables:
    """A file whose first graph runs a second one once, which sets variables up."""

    def __init__(self) -> None:
        self.file = TfliteFile()
        self.setup = TfliteFile(model=self.file.model, graph=schema.SubGraphT())
        self.setup.model.buffers, self.setup.model.subgraphs = [schema.BufferT()], [self.file.graph, self.setup.graph]
        self.file.operator("CALL_ONCE", [], [], options("CallOnceOptions", init_subgraph_index=1))

    def handle(self, name: str, container: str = "", file: TfliteFile | None = None) -> int:
        target = self.file if file is None else file
        index = target.tensor("i32", (), name=f"{name}_handle")
        target.graph.tensors[index].type = schema.TensorType.RESOURCE
        fields = {"shared_name": name.encode(), "container": container.encode()}
        target.operator("VAR_HANDLE", [], [index], options("VarHandleOptions", **fields))
        return index

    def set_up(self, name: str, content: NDArray[Any], scales: Scales | None = CODES, container: str = "") -> None:
        handle = self.handle(name, container, self.setup)
        fields = options("AssignVariableOptions")
        self.setup.operator("ASSIGN_VARIABLE", [handle, self.setup.constant(content, scales)], [], fields)

    def read(self, handle: int, dtype: str = "i8", scales: Scales | None = CODES, name: str = "") -> int:
        result = self.file.tensor(dtype, SHAPE, scales, name)
        self.file.operator("READ_VARIABLE", [handle], [result], options("ReadVariableOptions"))
        return result

    def write(self, handle: int, tensor: int) -> None:
        self.file.operator("ASSIGN_VARIABLE", [handle, tensor], [], options("AssignVariableOptions"))

    def add(self, first: int, second: int, result: int | None = None, dtype: str = "i8") -> int:
        scales = None if dtype == "f32" else CODES
        if result is None:
            result = self.file.tensor(dtype, SHAPE, scales)
        self.file.operator("ADD", [first, second], [result], options("AddOptions"), version=2)
        return result


def codes(value: int) -> NDArray[np.int8]:
    return np.full(SHAPE, value, np.int8)


def running_sum(initial: NDArray[Any] | None = None, scales: Scales | None = CODES) -> Variables:
    """y = s = s + x, and s starts at a code."""
    model = Variables()
    model.set_up("sum", codes(3) if initial is None else initial, scales)
    x = model.file.input("i8", SHAPE, CODES, "x")
    handle = model.handle("sum")
    total = model.add(model.read(handle), x, model.file.output("i8", SHAPE, CODES, "y"))
    model.write(handle, total)
    return model
