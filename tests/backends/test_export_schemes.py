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
from mrqc.ir import Module
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


@pytest.mark.parametrize("form", ["qdq", "tflite"])
@pytest.mark.parametrize("name", HARDWARE)
@given(data=st.data())
@settings(max_examples=12, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
def test_a_scheme_keeps_its_meaning_in_the_runtime(name: str, form: str, data: st.DataObject) -> None:
    module = data.draw(target_modules(HARDWARE[name], layers=LAYERS, max_layers=2, softmax=False))
    inputs = random_inputs(module, 1)
    found, expected = run(module, form, inputs), mrqc.reference(module).run(inputs)["output"]
    assert found.dtype == expected.dtype
    assert np.abs(found.astype(np.int64) - expected.astype(np.int64)).max() <= 4
