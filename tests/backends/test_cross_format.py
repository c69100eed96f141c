"""The same model in both formats: layer by layer, on the same codes, the two runtimes are at most one code apart."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from litert import LiteRT
from numpy.typing import NDArray
from PIL import Image

import mrqc
from mrqc.ir import Graph, Module, Output, Statement
from mrqc.ops import nn

pytestmark = pytest.mark.assets

MODELS = [
    "ad_autoencoder_s8.tflite",
    "kws_dscnn_s8.tflite",
    "mobilenet_v1_025_128_qat_u8.tflite",
    "mobilenet_v2_ptq_s8.tflite",
    "mobilenet_v2_qat_u8.tflite",
    "resnet8_s8.tflite",
    "vww_mobilenet_s8.tflite",
    "mobilenet_v2_ptq_s8.onnx",
    "mobilenet_v2_qat_u8.onnx",
    "resnet8.qdq.s8_pc.onnx",
    "resnet8.qdq.u8.onnx",
    "resnet8.qoperator.s8_pc.onnx",
    "resnet8.qoperator.u8.onnx",
]
"""Every quantized model."""


@dataclass
class Tally:
    """How often the two runtimes give different codes."""

    elements: int = 0
    different: int = 0
    greatest: int = 0

    def add(self, found: NDArray[Any], expected: NDArray[Any]) -> None:
        distance = np.abs(found.astype(np.int64) - expected.astype(np.int64))
        self.elements += distance.size
        self.different += int(np.count_nonzero(distance))
        self.greatest = max(self.greatest, int(distance.max(initial=0)))


def one_layer(module: Module, statement: Statement) -> Module:
    """Return a module of one statement and the constants that it takes."""
    definitions = module.graph.definitions
    constants = [
        definitions[operand]
        for operand in dict.fromkeys(statement.op.operands)
        if operand in definitions and isinstance(definitions[operand].op, nn.Constant)
    ]
    known = {constant.result for constant in constants}
    inputs = tuple(dict.fromkeys(operand for operand in statement.op.operands if operand not in known))
    return module.with_graph(Graph(inputs, (*constants, statement), (Output("layer", statement.result),)))


def is_quantized(statement: Statement) -> bool:
    return all(value.type.element.is_quantized for value in (*statement.op.operands, statement.result))


def sample(assets: Path, module: Module) -> NDArray[Any]:
    (value,) = module.graph.inputs
    if value.type.shape[1:] == (224, 224, 3):
        path = sorted((assets / "data" / "imagenet" / "calib").glob("*.jp*g"))[0]
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"))[None]
    random = np.random.default_rng(5)
    if not value.type.dtype.is_integer:
        return random.uniform(0, 255, value.type.shape)
    return random.integers(value.type.dtype.minimum, value.type.dtype.maximum + 1, value.type.shape).astype(
        value.type.dtype.numpy
    )


def session(content: bytes, inputs: dict[str, NDArray[Any]]) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    if any(array.dtype == np.uint8 for array in inputs.values()):
        # Products of unsigned and signed bytes saturate in 16 bits on processors without dot products otherwise.
        options.add_session_config_entry("session.x64quantprecision", "1")
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("name", MODELS)
def test_each_layer_is_within_one_code(assets: Path, name: str) -> None:
    module = mrqc.load(assets / "models" / name)
    trace = mrqc.reference(module).trace({module.graph.inputs[0].name: sample(assets, module)})
    tally = Tally()
    for statement in module.graph.statements:
        if isinstance(statement.op, nn.Constant) or not is_quantized(statement):
            continue
        layer = one_layer(module, statement)
        inputs = {value.name: trace[value.name] for value in layer.graph.inputs}
        (in_tflite,) = LiteRT(mrqc.emit_tflite(layer)).run(inputs).values()
        (in_onnx,) = session(mrqc.emit_onnx(layer), inputs).run(None, inputs)
        tally.add(in_onnx, in_tflite)
    assert tally.greatest <= 1, tally
    # TFLite rounds twice; where the second shift is a single bit that moves one code in eight.
    assert tally.different <= 0.05 * tally.elements, tally
    print(f"{name}: {tally.different} of {tally.elements} codes differ by 1")
