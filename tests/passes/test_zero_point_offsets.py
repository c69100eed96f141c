"""Zero points that something else decides: they are codes, at every scale that is chosen."""

from __future__ import annotations

import numpy as np
import pytest

from mrqc.backends.reference import ReferenceProgram
from mrqc.backends.simulator import Program
from mrqc.ir import DType, Element, Graph, Location, Module, Output, Quantization, Statement, TensorType, Value
from mrqc.ops import nn
from mrqc.passes import parse_pipeline, run_pipeline
from mrqc.targets import load_target
from mrqc.testing import random_inputs


def _mean_above_zero() -> Module:
    """A mean whose clamp is so narrow that zero, its operand's least value, is far outside."""
    element = Element(DType.I8, Quantization((1 / 255,), (-128,)))
    narrow = Element(DType.I8, Quantization((0.4267767 / 255,), (-128,)))
    source = Value("input", TensorType((1, 1, 2, 1), element))
    op = nn.AveragePool2D(source, kernel=(1, 2), clamp=(0.0732233, 0.4267767), element=narrow)
    result = Value("0", TensorType((1, 1, 1, 1), narrow))
    graph = Graph((source,), (Statement((result,), op, Location(("mean",))),), (Output("output", result),))
    return Module("mean", graph, (("source", "model.onnx"),))


@pytest.mark.parametrize("name", ["sym-npu", "pow2-npu", "sym-npu-unsigned", "asym-npu-i8"])
def test_a_mean_keeps_the_offset_of_its_operand(name: str) -> None:
    module = _mean_above_zero()
    lowered = run_pipeline(module, parse_pipeline("default", load_target(name)))
    inputs = random_inputs(module, 64)
    types = module.graph.inputs[0].type.quantization, module.graph.outputs[0].value.type.quantization
    found_type = lowered.graph.outputs[0].value.type.quantization
    assert types[0] is not None
    assert types[1] is not None
    assert found_type is not None
    before = types[1].dequantize(ReferenceProgram(module).run(inputs)["output"])
    after = found_type.dequantize(Program(lowered).run({"input": types[0].dequantize(inputs["input"])})["output"])
    assert np.abs(before - after).max() <= 0.006
