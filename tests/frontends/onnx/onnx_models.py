"""Small ONNX models for tests, and how ONNX Runtime and the ONNX reference evaluator run them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnxruntime.capi.onnxruntime_pybind11_state import Fail
from onnxruntime.capi.onnxruntime_pybind11_state import NotImplemented as NotImplementedByRuntime

from mrqc.frontends.onnx.graph import OLDEST_OPSET

EVALUATOR_OPSET = 21
"""The reference evaluator has no QuantizeLinear of older opsets; what we use did not change up to here."""


OPSETS = range(OLDEST_OPSET, onnx.defs.onnx_opset_version() + 1)
"""Every version of the operator set that mrqc reads."""


@cache
def newest_opset_of_onnxruntime() -> int:
    """Return the newest version of the operator set that the installed runtime accepts and has kernels for.

    A runtime may know a version by name before it has the kernels of operators that changed in it.
    """
    for opset in reversed(OPSETS):
        graph = Graph(opset)
        scheme = graph.scheme(0.5, 0, np.uint8)
        codes = graph.node("QuantizeLinear", graph.node("Relu", graph.input("x", (1,))), *scheme)
        graph.output(graph.node("DequantizeLinear", codes, *scheme))
        try:
            onnxruntime.InferenceSession(graph.model().SerializeToString(), providers=["CPUExecutionProvider"])
        except (Fail, NotImplementedByRuntime):
            continue
        return opset
    raise AssertionError("ONNX Runtime accepts no version")


def assert_valid(model: ModelProto) -> None:
    """Assert that the file keeps to the rules of its operator set, except that outputs may have no shape."""
    copy = ModelProto()
    copy.CopyFrom(model)
    for info in copy.graph.output:
        info.type.tensor_type.shape.SetInParent()
    onnx.checker.check_model(copy)


def for_onnxruntime(model: ModelProto) -> bytes:
    """Return the file, as one of the newest operator set that the runtime accepts where its own is newer.

    What our tests do with operators that have changed since then means the same in both.
    """
    copy = ModelProto()
    copy.CopyFrom(model)
    for entry in copy.opset_import:
        if not entry.domain and entry.version > newest_opset_of_onnxruntime():
            entry.version = newest_opset_of_onnxruntime()
            copy.ir_version = helper.find_min_ir_version_for([entry])
    return copy.SerializeToString()


class Graph:
    """An ONNX graph under construction; every method that adds a node returns the name of its result."""

    def __init__(self, opset: int = 13) -> None:
        self.opset = opset
        self.nodes: list[NodeProto] = []
        self.initializers: list[TensorProto] = []
        self.inputs: list[onnx.ValueInfoProto] = []
        self.outputs: list[onnx.ValueInfoProto] = []
        self.extra_domains: list[str] = []

    def input(self, name: str, shape: Sequence[int | str], element_type: int = TensorProto.FLOAT) -> str:
        self.inputs.append(helper.make_tensor_value_info(name, element_type, list(shape)))
        return name

    def output(self, name: str, element_type: int = TensorProto.FLOAT) -> str:
        self.outputs.append(helper.make_tensor_value_info(name, element_type, None))
        return name

    def constant(self, array: Any, name: str = "") -> str:
        name = name or f"constant_{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def node(self, op_type: str, *inputs: str, name: str = "", domain: str = "", **attributes: Any) -> str:
        result = f"{op_type.lower()}_{len(self.nodes)}"
        self.nodes.append(
            helper.make_node(op_type, list(inputs), [result], name or result, domain=domain, **attributes)
        )
        return result

    def scheme(self, scale: Any, zero_point: Any, dtype: Any) -> tuple[str, str]:
        return self.constant(np.float32(scale)), self.constant(np.array(zero_point, dtype))

    def quantize(self, x: str, scale: Any, zero_point: Any = 0, dtype: Any = np.uint8, **attributes: Any) -> str:
        return self.node("QuantizeLinear", x, *self.scheme(scale, zero_point, dtype), **attributes)

    def dequantize(self, x: str, scale: Any, zero_point: Any = 0, dtype: Any = np.uint8, **attributes: Any) -> str:
        return self.node("DequantizeLinear", x, *self.scheme(scale, zero_point, dtype), **attributes)

    def requantize(self, x: str, scale: Any, zero_point: Any = 0, dtype: Any = np.uint8) -> str:
        """Add a QuantizeLinear and a DequantizeLinear that share scale and zero point."""
        scheme = self.scheme(scale, zero_point, dtype)
        return self.node("DequantizeLinear", self.node("QuantizeLinear", x, *scheme), *scheme)

    def weight(self, codes: NDArray[Any], scale: Any, zero_point: Any = 0, **attributes: Any) -> str:
        return self.dequantize(self.constant(codes), scale, zero_point, codes.dtype, **attributes)

    def model(self) -> ModelProto:
        standard = helper.make_opsetid("", self.opset)
        return helper.make_model(
            helper.make_graph(self.nodes, "test", self.inputs, self.outputs, self.initializers),
            opset_imports=[standard, *(helper.make_opsetid(domain, 1) for domain in self.extra_domains)],
            ir_version=max(8, helper.find_min_ir_version_for([standard], ignore_unknown=True)),
        )

    def save(self, folder: Path, name: str = "model.onnx") -> Path:
        path = folder / name
        path.write_bytes(self.model().SerializeToString())
        return path


def means(graph: Graph, image: str, keep_dims: int) -> str:
    """Add a ReduceMean over height and width; its axes are an attribute before opset 18."""
    if graph.opset < 18:
        return graph.node("ReduceMean", image, axes=[2, 3], keepdims=keep_dims)
    return graph.node("ReduceMean", image, graph.constant(np.array([2, 3])), keepdims=keep_dims)


def run_onnxruntime(
    model: ModelProto, inputs: Mapping[str, NDArray[Any]], outputs: Sequence[str] = ()
) -> dict[str, NDArray[Any]]:
    """Return the outputs, and tensors between the nodes, with graph optimizations off; one image at a time."""
    copy = ModelProto()
    copy.CopyFrom(model)
    known = {output.name for output in copy.graph.output}
    copy.graph.output.extend(onnx.ValueInfoProto(name=name) for name in outputs if name not in known)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(for_onnxruntime(copy), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    count = len(next(iter(inputs.values())))
    runs = [session.run(names, {name: array[i : i + 1] for name, array in inputs.items()}) for i in range(count)]
    return {name: np.concatenate(arrays) for name, arrays in zip(names, zip(*runs, strict=True), strict=True)}


def run_in_double_precision(
    model: ModelProto, inputs: Mapping[str, NDArray[Any]], outputs: Sequence[str] = ()
) -> dict[str, NDArray[Any]]:
    """Return the outputs by the ONNX reference evaluator, all floats doubles: ONNX's meaning over the reals."""
    copy = ModelProto()
    copy.CopyFrom(model)
    for tensor in copy.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT:
            array = numpy_helper.to_array(tensor).astype(np.float64)
            tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    for info in (*copy.graph.input, *copy.graph.output):
        if info.type.tensor_type.elem_type == TensorProto.FLOAT:
            info.type.tensor_type.elem_type = TensorProto.DOUBLE
    for entry in copy.opset_import:
        if not entry.domain:
            entry.version = EVALUATOR_OPSET
    copy.ir_version = 10
    known = {output.name for output in copy.graph.output}
    copy.graph.output.extend(onnx.ValueInfoProto(name=name) for name in outputs if name not in known)
    evaluator = ReferenceEvaluator(copy)
    count = len(next(iter(inputs.values())))
    runs = [
        evaluator.run(None, {name: _as_double(array[i : i + 1]) for name, array in inputs.items()})
        for i in range(count)
    ]
    names = [output.name for output in copy.graph.output]
    return {name: np.concatenate(arrays) for name, arrays in zip(names, zip(*runs, strict=True), strict=True)}


def _as_double(array: NDArray[Any]) -> NDArray[Any]:
    return array.astype(np.float64) if array.dtype.kind == "f" else array
