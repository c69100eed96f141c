"""Files on codes in every operator set; those of QDQ and float files are beside the tests of these forms."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto
from onnx_models import OPSETS, Graph, assert_valid
from onnx_single_ops import MICROSOFT, SAFE_SESSION, SingleOnnxCase, compare_case

DTYPES: dict[str, Any] = {"u8": np.uint8, "i8": np.int8}


class OnCodes(Graph):
    """A network under construction whose tensors are codes, each with its scheme."""

    def __init__(self, opset: int, dtype: Any) -> None:
        super().__init__(opset)
        self.extra_domains.append(MICROSOFT)
        self.dtype = dtype
        self.random = np.random.default_rng(11)

    def activation(self, scale: float) -> tuple[str, str]:
        return self.scheme(scale, self.random.integers(-5, 5) + (128 if self.dtype is np.uint8 else 0), self.dtype)

    def weight_codes(self, *shape: int) -> tuple[str, str, str]:
        codes: NDArray[np.int8] = self.random.integers(-64, 63, shape, np.int8)
        return self.constant(codes), *self.scheme(2.0**-7, 0, np.int8)

    def on_codes(self, op_type: str, *inputs: str, **attributes: Any) -> str:
        return self.node(op_type, *inputs, domain=MICROSOFT, **attributes)


def network(graph: OnCodes) -> ModelProto:
    """A residual network with one operator of each kind."""
    start, inner, last = (graph.activation(scale) for scale in (0.05, 0.06, 0.04))
    image = graph.node("QuantizeLinear", graph.input("x", (1, 3, 8, 8)), *start)
    bias = graph.constant(graph.random.integers(-500, 500, 4, np.int32))
    first = graph.node("QLinearConv", image, *start, *graph.weight_codes(4, 3, 3, 3), *inner, bias, pads=[1] * 4)
    if graph.opset >= 12:
        # Before, pools knew floats only.
        first = graph.node("MaxPool", first, kernel_shape=[2, 2], strides=[2, 2])
    second = graph.node("QLinearConv", first, *inner, *graph.weight_codes(4, 4, 1, 1), *inner)
    image = graph.on_codes("QLinearAdd", first, *inner, second, *inner, *last)
    image = graph.on_codes("QLinearGlobalAveragePool", image, *last, *last, channels_last=0)
    rows = graph.node("Reshape", image, graph.constant(np.array([0, -1])))
    result = graph.activation(0.05)
    rows = graph.node("QLinearMatMul", rows, *last, *graph.weight_codes(4, 5), *result)
    graph.output(graph.node("DequantizeLinear", rows, *result), TensorProto.FLOAT)
    return graph.model()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("opset", OPSETS)
def test_a_network_on_codes_gives_the_runtimes_bytes(opset: int, dtype: str) -> None:
    model = network(OnCodes(opset, DTYPES[dtype]))
    assert_valid(model)
    random = np.random.default_rng(5)
    rows = tuple({"x": random.normal(0, 2, (1, 3, 8, 8)).astype(np.float32)} for _ in range(4))
    compare_case(SingleOnnxCase(model.SerializeToString(), rows), SAFE_SESSION[dtype])
