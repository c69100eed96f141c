"""Float operators, alone and in the company in which runtimes fuse them: written again, ONNX Runtime's bytes stay."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx_models import Graph

import mrqc

LEVELS = ("ORT_DISABLE_ALL", "ORT_ENABLE_BASIC", "ORT_ENABLE_EXTENDED", "ORT_ENABLE_ALL")
RANDOM = np.random.default_rng(11)


def reals(*shape: int) -> Any:
    return RANDOM.normal(size=shape).astype(np.float32)


def pool(size: tuple[int, int], kernel: tuple[int, int] | None, **attributes: Any) -> Callable[[Graph], str]:
    def build(graph: Graph) -> str:
        x = graph.input("x", (1, 5, *size))
        if kernel is None:
            return graph.node("GlobalAveragePool", x)
        return graph.node("AveragePool", x, kernel_shape=kernel, **attributes)

    return build


def normalization(*shape: int) -> Callable[[Graph], str]:
    def build(graph: Graph) -> str:
        return normalized(graph, graph.input("x", shape), shape[1])

    return build


def normalized(graph: Graph, x: str, channels: int) -> str:
    parameters = [graph.constant(reals(channels)) for _ in range(3)]
    return graph.node("BatchNormalization", x, *parameters, graph.constant(np.abs(reals(channels))), epsilon=1e-3)


def branches(graph: Graph) -> str:
    x = graph.input("x", (1, 6, 9, 9))
    square = graph.node("Conv", x, graph.constant(reals(6, 6, 3, 3)), pads=[1] * 4)
    point = graph.node("Conv", x, graph.constant(reals(6, 6, 1, 1)), graph.constant(reals(6)))
    total = graph.node("Add", normalized(graph, square, 6), normalized(graph, point, 6))
    return graph.node("Relu", graph.node("Add", total, normalized(graph, x, 6)))


def product(graph: Graph) -> str:
    x = graph.input("x", (3, 300))
    y = graph.node("Add", graph.node("MatMul", x, graph.constant(reals(300, 17))), graph.constant(reals(17)))
    return graph.node("Add", graph.constant(reals(1, 5)), graph.node("MatMul", y, graph.constant(reals(17, 5))))


def gemm(transposed: int) -> Callable[[Graph], str]:
    def build(graph: Graph) -> str:
        weight = graph.constant(reals(17, 300) if transposed else reals(300, 17))
        return graph.node("Gemm", graph.input("x", (3, 300)), weight, graph.constant(reals(17)), transB=transposed)

    return build


def product_of_dequantized(graph: Graph) -> str:
    codes = RANDOM.integers(-127, 128, (300, 17)).astype(np.int8)
    weight = graph.weight(codes, np.linspace(0.01, 0.02, 17, dtype=np.float32), np.zeros(17, np.int8), axis=1)
    return graph.node("Add", graph.node("MatMul", graph.input("x", (3, 300)), weight), graph.constant(reals(17)))


def convolution_of_dequantized(graph: Graph) -> str:
    codes = RANDOM.integers(-127, 128, (8, 40, 3, 3)).astype(np.int8)
    weight = graph.weight(codes, np.linspace(0.01, 0.02, 8, dtype=np.float32), np.zeros(8, np.int8), axis=0)
    image = graph.node("Conv", graph.input("x", (1, 40, 6, 6)), weight)
    return graph.node("Add", image, graph.constant(reals(8, 1, 1)))


CASES: dict[str, tuple[Callable[[Graph], str], dict[str, int]]] = {
    "global pool": (pool((7, 9), None), {"GlobalAveragePool": 1}),
    # The runtime itself computes a window without steps as a global pool.
    "pool of all": (pool((7, 9), (7, 9)), {"GlobalAveragePool": 1}),
    "pool of all with strides": (pool((7, 9), (7, 9), strides=[2, 1]), {"AveragePool": 1}),
    "pool of all with wide strides": (pool((7, 9), (7, 9), strides=[7, 9]), {"AveragePool": 1}),
    "pool of one pixel": (pool((1, 1), (1, 1)), {"GlobalAveragePool": 1}),
    "global pool of one pixel": (pool((1, 1), None), {"GlobalAveragePool": 1}),
    "pool of a row": (pool((1, 9), (1, 9)), {"GlobalAveragePool": 1}),
    "pool of a row with strides": (pool((1, 9), (1, 9), strides=[1, 9]), {"AveragePool": 1}),
    "pool": (pool((7, 9), (3, 2), strides=[2, 2], pads=[1, 0, 1, 1]), {"AveragePool": 1}),
    "normalized rows": (normalization(3, 8), {"BatchNormalization": 1}),
    "normalized sequence": (normalization(2, 8, 5), {"BatchNormalization": 1}),
    "normalized image": (normalization(2, 8, 5, 3), {"BatchNormalization": 1, "Transpose": 0}),
    "normalized volume": (normalization(1, 8, 2, 5, 3), {"BatchNormalization": 1}),
    "branches": (branches, {"BatchNormalization": 3, "Conv": 2, "Transpose": 0}),
    "product": (product, {"MatMul": 2, "Add": 2, "Reshape": 0}),
    "gemm": (gemm(0), {"Gemm": 1}),
    "transposed gemm": (gemm(1), {"Gemm": 1, "Transpose": 0}),
    "product of dequantized": (product_of_dequantized, {"MatMul": 1, "Transpose": 0, "DequantizeLinear": 1}),
    "convolution of dequantized": (convolution_of_dequantized, {"Conv": 1, "Transpose": 0, "DequantizeLinear": 1}),
}


@pytest.mark.parametrize(("build", "expected"), CASES.values(), ids=CASES)
def test_the_bytes_stay(build: Callable[[Graph], str], expected: dict[str, int], tmp_path: Path) -> None:
    graph = Graph(15)
    graph.output(build(graph))
    source = graph.model()
    written = onnx.load_from_string(mrqc.emit_onnx(mrqc.load(graph.save(tmp_path))))
    kinds = [node.op_type for node in written.graph.node]
    assert {kind: kinds.count(kind) for kind in expected} == expected
    shape = [extent.dim_value for extent in source.graph.input[0].type.tensor_type.shape.dim]
    rows = [reals(*shape), 1e3 * reals(*shape), np.zeros(shape, np.float32)]
    for level in LEVELS:
        assert ran(written, level, rows) == ran(source, level, rows), level


def ran(model: onnx.ModelProto, level: str, rows: list[Any]) -> list[bytes]:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return [session.run(None, {"x": row})[0].tobytes() for row in rows]
