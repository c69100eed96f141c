"""Modules in the scheme of each target, written by both exporters and run: near the reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from litert import LiteRT
from numpy.typing import NDArray

import mrqc
from mrqc.ir import DType, Element, GraphBuilder, Module, Output, TensorType
from mrqc.ops import nn
from mrqc.targets import BUILTIN_TARGETS, load_target
from mrqc.testing import TARGET_LAYERS, random_inputs, target_modules

HARDWARE = {name: target for name in BUILTIN_TARGETS if not (target := load_target(name)).is_runtime}
LAYERS = tuple(op for op in TARGET_LAYERS if op is not nn.TransposeConv2D)


def run(module: Module, form: str, inputs: dict[str, NDArray[Any]]) -> NDArray[Any]:
    """What the runtime makes of the exported module."""
    content = mrqc.emit_tflite(module) if form == "tflite" else mrqc.emit_onnx(module, form)
    if form == "tflite":
        (found,) = LiteRT(content).run(inputs).values()
        return found
    options = onnxruntime.SessionOptions()
    # Products of bytes saturate in 16 bits on processors without dot products otherwise.
    options.add_session_config_entry("session.x64quantprecision", "1")
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {each.name: inputs[each.name] for each in session.get_inputs()})
    return found


def most_of_a_code(module: Module) -> float:
    """What a code of an operand makes in a product at the most, in codes of the product; at least 1.

    Runtimes round ties otherwise than the reference, by a code, and the other factor of a product multiplies that.
    """
    found = 1.0
    for statement in module.graph.statements:
        if isinstance(statement.op, nn.Mul):
            element = statement.op.element
            assert element.quantization is not None
            for one, other in (statement.op.operands, statement.op.operands[::-1]):
                assert one.type.quantization is not None
                reach = max(map(abs, other.type.element.real_range))
                found = max(found, reach * one.type.quantization.scale / element.quantization.scale)
    return found


@pytest.mark.parametrize("form", ["qdq", "tflite"])
@pytest.mark.parametrize("name", HARDWARE)
@given(data=st.data())
@settings(max_examples=12, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
def test_a_scheme_keeps_its_meaning_in_the_runtime(name: str, form: str, data: st.DataObject) -> None:
    module = data.draw(target_modules(HARDWARE[name], layers=LAYERS, max_layers=2, softmax=False))
    inputs = random_inputs(module, 1)
    found, expected = run(module, form, inputs), mrqc.reference(module).run(inputs)["output"]
    assert found.dtype == expected.dtype
    assert np.abs(found.astype(np.int64) - expected.astype(np.int64)).max() <= 4 * most_of_a_code(module)


def test_a_product_multiplies_what_a_runtime_rounds_otherwise() -> None:
    """Half of all odd codes is a tie, and a code of it is more than five of the product with the greatest factor."""
    codes = np.arange(-127, 128, 2, dtype=np.int8).reshape(1, 1, 1, -1)
    builder = GraphBuilder()
    shape = codes.shape
    x = builder.add_input("x", TensorType(shape, Element.per_tensor(DType.I8, 0.021875)))
    factor = builder.add_input("factor", TensorType(shape, Element.per_tensor(DType.U8, 0.00546875)))
    half = builder.emit(nn.Quantize(x, Element.per_tensor(DType.I8, 0.04375)))
    product = builder.emit(nn.Mul(factor, half, clamp=(0.0, 6.0), element=Element.per_tensor(DType.U8, 0.0109375)))
    module = Module("product", builder.finish([Output("output", product)]))
    assert 5.0 < most_of_a_code(module) < 6.0
    inputs: dict[str, NDArray[Any]] = {"x": codes, "factor": np.full(shape, 255, np.uint8)}
    found, expected = run(module, "tflite", inputs), mrqc.reference(module).run(inputs)["output"]
    difference = np.abs(found.astype(np.int64) - expected.astype(np.int64)).max()
    assert 4 < difference <= 1 + most_of_a_code(module)
