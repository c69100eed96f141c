"""``nn.relabel`` in TFLite files: LiteRT gives every code again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from hypothesis import given, settings
from hypothesis import strategies as st
from litert import LiteRT

import mrqc
from mrqc.errors import TargetError
from mrqc.ir import FLOAT, DType, Element, GraphBuilder, Module, Output, Quantization, TensorType
from mrqc.ops import nn
from mrqc.testing import random_inputs

SCALES = st.floats(-20, 10).map(lambda exponent: 2.0**exponent)


def relabelled(element: Element, count: int, factors: tuple[float, ...], shift: int = 0) -> Module:
    """A relabel between two reshapes, so that it is neither an input nor an output."""
    builder = GraphBuilder()
    x = builder.add_input("x", TensorType((1, count), element))
    inner = builder.emit(nn.Reshape(x, (1, count, 1)))
    y = builder.emit(nn.Reshape(builder.emit(nn.Relabel(inner, factors, shift)), (count, 1)))
    return Module("relabelled", builder.finish([Output("y", y)]))


def assert_codes_stay(module: Module) -> None:
    type_ = module.graph.inputs[0].type
    codes = np.arange(type_.dtype.minimum, type_.dtype.maximum + 1).astype(type_.dtype.numpy).reshape(type_.shape)
    content = mrqc.emit_tflite(module)
    np.testing.assert_array_equal(LiteRT(content).run({"x": codes})["y"].reshape(-1), codes.reshape(-1))
    # And so do the kernels that applications run.
    interpreter = Interpreter(model_content=content, num_threads=1)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], codes)
    interpreter.invoke()
    found = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    np.testing.assert_array_equal(found.reshape(-1), codes.reshape(-1))


@given(data=st.data(), dtype=st.sampled_from((DType.I8, DType.U8)), scale=SCALES, factor=st.none() | SCALES)
@settings(max_examples=300)
def test_every_code_of_a_byte_comes_back(data: st.DataObject, dtype: DType, scale: float, factor: float | None) -> None:
    before, after = (data.draw(st.integers(dtype.minimum, dtype.maximum)) for _ in range(2))
    assert_codes_stay(relabelled(Element.per_tensor(dtype, scale, before), 256, (factor or 1.0,), after - before))


@given(scale=SCALES, factor=st.floats(0.01, 100.0))
@settings(max_examples=20)
def test_every_code_of_sixteen_bits_comes_back(scale: float, factor: float) -> None:
    module = relabelled(Element.per_tensor(DType.I16, scale), 1 << 16, (factor,))
    codes = np.arange(-(1 << 15), 1 << 15).astype(np.int16).reshape(1, -1)
    np.testing.assert_array_equal(LiteRT(mrqc.emit_tflite(module)).run({"x": codes})["y"].reshape(-1), codes[0])


def test_floats_are_multiplied_by_a_factor_for_each_channel() -> None:
    builder = GraphBuilder()
    x = builder.add_input("x", TensorType((2, 3), FLOAT))
    y = builder.emit(nn.Relabel(x, (0.5, 3.0, 7.0)))
    module = Module("floats", builder.finish([Output("y", y)]))
    inputs = random_inputs(module, 1)
    found = LiteRT(mrqc.emit_tflite(module)).run(inputs)["y"]
    np.testing.assert_array_equal(found, inputs["x"] * np.array([0.5, 3.0, 7.0], np.float32))


def test_codes_with_a_scale_for_each_channel_are_refused() -> None:
    builder = GraphBuilder()
    element = Element(DType.I8, Quantization.per_axis((1.0, 2.0), (0, 0), 1))
    y = builder.emit(nn.Relabel(builder.add_input("x", TensorType((1, 2), element)), (2.0,)))
    with pytest.raises(TargetError, match=r"nn\.relabel of i8 codes with a scale for each channel"):
        mrqc.emit_tflite(Module("channels", builder.finish([Output("y", y)])))


@pytest.mark.assets
@pytest.mark.parametrize("target", ["sym-npu", "pow2-npu", "pow2-scale-npu"])
@pytest.mark.parametrize("model", ["vww_mobilenet_s8", "mobilenet_v1_025_128_qat_u8"])
def test_real_models_that_keep_a_zero_point_at_their_input(assets: Path, model: str, target: str) -> None:
    module = mrqc.requantize(mrqc.load(assets / "models" / f"{model}.tflite"), target, recipe="fast")
    is_relabelled = any(isinstance(statement.op, nn.Relabel) for statement in module.graph.statements)
    assert is_relabelled or model != "vww_mobilenet_s8"
    inputs = random_inputs(module, 4)
    lowered = mrqc.run_passes(module, "canonicalize,lower-to-int,canonicalize", mrqc.load_target(target))
    expected = mrqc.simulate(lowered).run(inputs)
    runtime = LiteRT(mrqc.emit_tflite(module))
    for name, codes in expected.items():
        for row in range(4):
            (found,) = runtime.run({key: array[row : row + 1] for key, array in inputs.items()}).values()
            # LiteRT rounds twice where the hardware rounds once, layer after layer.
            assert np.abs(found.astype(int) - codes[row].astype(int)).max() <= 12, name
