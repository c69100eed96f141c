"""The geometry of convolutions and pools, and the rounding of QuantizeLinear, against two ONNX implementations."""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from integer_modules import SEEDS, windows
from onnx.reference import ReferenceEvaluator
from real_modules import module_of, stored

from mrqc.backends.reference import ReferenceProgram
from mrqc.ir import FLOAT, DType, Element, TensorType
from mrqc.ops import nn
from mrqc.ops.window import Window

Engine = Callable[[onnx.ModelProto, dict[str, np.ndarray]], np.ndarray]


def evaluated(model: onnx.ModelProto, inputs: dict[str, np.ndarray]) -> np.ndarray:
    return ReferenceEvaluator(model).run(None, inputs)[0]


def ran(model: onnx.ModelProto, inputs: dict[str, np.ndarray]) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
    return session.run(None, inputs)[0]


ENGINES = pytest.mark.parametrize("engine", [evaluated, ran])


def one_node(op: str, inputs: dict[str, np.ndarray], **attributes: Any) -> onnx.ModelProto:
    node = onnx.helper.make_node(op, list(inputs), ["y"], **attributes)
    declared = [
        onnx.helper.make_tensor_value_info(name, onnx.helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
        for name, array in inputs.items()
    ]
    kind = onnx.TensorProto.UINT8 if op == "QuantizeLinear" else onnx.TensorProto.FLOAT
    result = onnx.helper.make_tensor_value_info("y", kind, None)
    graph = onnx.helper.make_graph([node], "g", declared, [result])
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 19)], ir_version=9)


def attributes_of(window: Window) -> dict[str, Any]:
    return {"kernel_shape": window.kernel, "strides": window.strides, "pads": window.padding}


def nchw(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(array.transpose(0, 3, 1, 2).astype(np.float32))


@ENGINES
@settings(max_examples=15)
@given(windows(), st.sampled_from(((1, 3, 2), (2, 2, 2), (3, 1, 2))), SEEDS)
def test_conv2d(engine: Engine, case: tuple[Window, int, int], channels: tuple[int, int, int], seed: int) -> None:
    (window, height, width), (groups, depth, outputs) = case, channels
    random = np.random.default_rng(seed)
    images = random.normal(size=(2, height, width, groups * depth)).astype(np.float32)
    weight = stored(TensorType((groups * outputs, *window.kernel, depth), FLOAT), seed)
    bias = stored(TensorType((groups * outputs,), FLOAT), seed + 1)
    module = module_of(
        [TensorType(images.shape, FLOAT)],
        lambda x, w, b: nn.Conv2D(x, w, b, window.strides, window.padding, window.dilations, groups),
        [weight, bias],
    )
    inputs = {"x": nchw(images), "w": nchw(weight[0]), "b": bias[0]}
    model = one_node("Conv", inputs, **attributes_of(window), dilations=window.dilations, group=groups)
    expected = engine(model, inputs)
    found = ReferenceProgram(module).run(images)["y"]
    assert found.dtype == np.float32
    assert np.allclose(nchw(found), expected, rtol=1e-5, atol=1e-5)


@ENGINES
@settings(max_examples=15)
@given(windows(pool=True), st.booleans(), SEEDS)
def test_average_pool2d(engine: Engine, case: tuple[Window, int, int], count_include_pad: bool, seed: int) -> None:
    window, height, width = case
    images = np.random.default_rng(seed).normal(size=(2, height, width, 3)).astype(np.float32)
    module = module_of(
        [TensorType(images.shape, FLOAT)],
        lambda x: nn.AveragePool2D(x, window.kernel, window.strides, window.padding, count_include_pad),
    )
    inputs = {"x": nchw(images)}
    model = one_node("AveragePool", inputs, **attributes_of(window), count_include_pad=int(count_include_pad))
    found = ReferenceProgram(module).run(images)["y"]
    assert np.allclose(nchw(found), engine(model, inputs), rtol=1e-5, atol=1e-6)


@settings(max_examples=25)
@given(windows(pool=True), SEEDS)
def test_max_pool2d(case: tuple[Window, int, int], seed: int) -> None:
    """Against ONNX Runtime alone: the evaluator of onnx 1.23 misreads asymmetric padding of MaxPool."""
    window, height, width = case
    # All below zero, so that a padding of zeros would win.
    images = -np.random.default_rng(seed).random((2, height, width, 3)).astype(np.float32) - 1
    module = module_of(
        [TensorType(images.shape, FLOAT)],
        lambda x: nn.MaxPool2D(x, window.kernel, window.strides, window.padding),
    )
    inputs = {"x": nchw(images)}
    expected = ran(one_node("MaxPool", inputs, **attributes_of(window)), inputs)
    assert np.array_equal(nchw(ReferenceProgram(module).run(images)["y"]), expected)


@ENGINES
@settings(max_examples=15)
@given(st.integers(2, 5), st.sampled_from((0.0, 1e-5, 0.5)), SEEDS)
def test_batch_normalization(engine: Engine, rank: int, epsilon: float, seed: int) -> None:
    random = np.random.default_rng(seed)
    images = random.normal(size=(*(2, 3, 4, 2)[: rank - 1], 5)).astype(np.float32)
    parameters = [stored(TensorType((5,), FLOAT), seed + index) for index in range(3)]
    variance = (random.uniform(0.1, 3.0, 5).astype(np.float32), FLOAT)
    module = module_of(
        [TensorType(images.shape, FLOAT)],
        lambda x, s, b, m, v: nn.BatchNormalization(x, s, b, m, v, epsilon),
        [*parameters, variance],
    )
    inputs = {"x": np.ascontiguousarray(np.moveaxis(images, -1, 1))}
    inputs |= {name: array for name, (array, _) in zip("sbmv", [*parameters, variance], strict=True)}
    expected = engine(one_node("BatchNormalization", inputs, epsilon=epsilon), inputs)
    found = ReferenceProgram(module).run(images)["y"]
    assert found.dtype == np.float32
    assert np.allclose(np.moveaxis(found, -1, 1), expected, rtol=1e-5, atol=1e-5)


@ENGINES
@pytest.mark.parametrize("zero_point", [0, 128, 255])
def test_quantize_linear_rounds_half_to_even_and_saturates(engine: Engine, zero_point: int) -> None:
    # Halves of the scale, far beyond both ends; exact in single precision.
    reals = (np.arange(-1200, 1201, dtype=np.float32) / 8).reshape(1, -1)
    scale = np.array(0.25, np.float32)
    inputs = {"x": reals, "scale": scale, "zero_point": np.array(zero_point, np.uint8)}
    expected = engine(one_node("QuantizeLinear", inputs), inputs)
    element = Element.per_tensor(DType.U8, 0.25, zero_point)
    module = module_of([TensorType(reals.shape, FLOAT)], lambda x: nn.Quantize(x, element))
    assert np.array_equal(ReferenceProgram(module).run(reals)["y"], expected)
