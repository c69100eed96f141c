"""What re-quantization once fell for, one trap at a time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from networks import Network, i8, residual_network, u8, weights
from requantizing import TARGETS, lowered, only, requantized, with_scheme

import mrqc
from mrqc.backends.reference import ReferenceProgram
from mrqc.backends.simulator import Program
from mrqc.calibration import CalibrationSamples
from mrqc.ir import FLOAT, Data, DType, Element, GraphBuilder, Module, Quantization, Statement, TensorType, verify
from mrqc.ops import int as int_ops
from mrqc.ops import nn
from mrqc.passes import Recipe
from mrqc.passes.bit_check import random_inputs


@pytest.mark.parametrize("name", TARGETS)
def test_a_float_bias_is_quantized_at_the_scale_of_the_accumulator(name: str) -> None:
    """PyTorch's exporters leave biases in floats."""
    net = Network()
    x = net.input((1, 3, 3, 2), 0.02, 128)
    kernel = net.constant(weights((2, 1, 1, 2), 3), i8(0.01))
    bias = net.builder.emit(nn.Constant(Data(np.array([0.5, -0.25], np.float32)), FLOAT))
    y = net.emit(nn.Conv2D(x, kernel, bias, element=u8(0.03, 128)), "conv")
    module = requantized(net.finish(y), name)
    (op,) = only(module, nn.Conv2D)
    constant = module.graph.definitions[op.bias].op
    scale = op.input.type.quantization.scale * op.weight.type.quantization.scale
    assert constant.element.quantization.scale == pytest.approx(scale)
    assert constant.value.array == pytest.approx(np.array([0.5, -0.25]) / scale, abs=0.5)
    assert lowered(net.finish(y), name)


@pytest.mark.parametrize("name", TARGETS)
def test_a_dead_channel_with_a_scale_of_next_to_nothing(name: str) -> None:
    """As TFLite's converter leaves them: weights of scale 1e-14, and a bias that is all of the channel."""
    net = Network()
    element = Element(DType.I8, Quantization.per_axis([0.01, 1e-14], [0, 0], 0))
    x = net.input((1, 3, 3, 2), 0.02, 128)
    bias = net.builder.emit(nn.Constant(Data(np.array([0.5, 1.5], np.float32)), FLOAT))
    kernel = net.constant(weights((2, 1, 1, 2), 3), element)
    y = net.emit(nn.Conv2D(x, kernel, bias, element=u8(0.02, 0)), "conv")
    module = lowered(net.finish(y), with_scheme(name, weight={"granularity": "per-channel"}))
    quantization = module.graph.outputs[0].value.type.quantization
    result = quantization.dequantize(Program(module)(random_inputs(module, 4)["x"])[..., 1])
    assert result == pytest.approx(1.5, abs=quantization.scale / 2)


def test_a_mean_keeps_the_range_that_its_codes_had() -> None:
    text = """module @m {
      inputs (%x : tensor<1x4x!quant.uniform<i8:f32, 0.0184:-14>>)
      %y = nn.mean(%x) {axes = [1]} : tensor<1x!quant.uniform<i8:f32, 0.00325:-77>>
      return (%y as "y")
    }"""
    module = mrqc.parse(text)
    # Without samples the scale may cut off three percent of the range to stay on the grid, two codes here.
    result = mrqc.lower(module, "sym-npu", CalibrationSamples.synthetic(module, 4), recipe="default")
    least = np.full((1, 4), -2.0)
    quantization = result.graph.outputs[0].value.type.quantization
    assert quantization is not None
    (real,) = quantization.dequantize(mrqc.simulate(result).run(least)["y"])
    assert real == pytest.approx(0.00325 * (-128 + 77), abs=quantization.scale)


@pytest.mark.parametrize("name", ["sym-npu", "pow2-npu"])
def test_a_transposed_convolution_with_a_scale_for_each_channel_is_requantized(name: str) -> None:
    network = Network()
    x = network.input((1, 3, 3, 2), 0.05, 3)
    weight = Element(DType.I8, Quantization.per_axis([0.1, 0.3], [0, 0], 0))
    codes = np.random.default_rng(3).integers(-127, 128, (2, 2, 2, 2))
    op = nn.TransposeConv2D(
        x, network.constant(codes, weight), strides=(2, 2), element=Element.per_tensor(DType.U8, 0.1)
    )
    module = network.finish(network.emit(op, "up"))
    assert verify(mrqc.requantize(module, name)) == []
    inputs = random_inputs(module, 8)
    before = Element.per_tensor(DType.U8, 0.1).quantization.dequantize(ReferenceProgram(module).run(inputs)["y"])
    result = lowered(module, name, "original")
    assert only(result, int_ops.TransposeConv2D)
    after = result.graph.outputs[0].value.type.quantization.dequantize(Program(result).run(inputs)["y"])
    noise = np.sqrt(np.mean((before - after) ** 2))
    assert noise < 0.05 * np.sqrt(np.mean((before - before.mean()) ** 2))


@pytest.mark.parametrize("name", ["sym-npu", "pow2-npu"])
def test_a_float_constant_that_is_an_output_stays(name: str) -> None:
    network = Network()
    x = network.input((1, 4), 0.05, 3)
    constant = network.emit(nn.Constant(Data(np.array([1.5], np.float32)), FLOAT), "constant")
    module = network.finish(network.emit(nn.Tanh(x, u8(0.01)), "y"), constant)
    moved = mrqc.requantize(module, name)
    assert verify(moved) == []
    assert moved.graph.outputs[1].value.type.element == FLOAT


def test_layers_that_share_weights_and_bias_get_their_own() -> None:
    """Found by re-quantizing one kernel at two places: the scale of the second layer was used for both."""
    net = Network()
    x = net.input((1, 4, 4, 2), 0.02, 128)
    kernel = net.constant(weights((2, 1, 1, 2), 3), i8(0.01))
    bias = net.builder.emit(nn.Constant(Data(np.array([0.5, -0.25], np.float32)), FLOAT))
    first = net.emit(nn.Conv2D(x, kernel, bias, element=u8(0.04)), "first")
    second = net.emit(nn.Conv2D(first, kernel, bias, element=u8(0.031)), "second")
    module = net.finish(net.emit(nn.Conv2D(second, kernel, bias, element=u8(0.02)), "third"))
    moved = mrqc.requantize(module, "pow2-npu", CalibrationSamples.synthetic(module, 4), recipe="fast")
    layers = only(moved, nn.Conv2D)
    for op in layers:
        weight, bias_quantization = op.weight.type.quantization, op.bias.type.quantization
        assert bias_quantization.scale == pytest.approx(op.input.type.quantization.scale * weight.scale)
    assert len({op.weight for op in layers}) == len({op.bias for op in layers}) == 3
    assert lowered(module, "pow2-npu")


@pytest.mark.parametrize("name", TARGETS)
def test_a_bias_too_wide_for_its_register_coarsens_the_weights(name: str) -> None:
    net = Network()
    x = net.input((1, 1, 1, 2), 1 / 64, 128)
    y = net.conv(x, weights((2, 1, 1, 2), 0), i8(0.01), u8(0.5, 128), bias=[70000, 1], name="wide_bias")
    module = lowered(net.finish(y), with_scheme(name, bias={"bits": 16}))
    (op,) = only(module, int_ops.Conv2D)
    codes = module.graph.definitions[op.bias].op.value.array
    assert 1 << 12 < np.abs(codes).max() < 1 << 15
    quantization = module.graph.outputs[0].value.type.quantization
    result = quantization.dequantize(Program(module)(np.zeros((1, 1, 1, 2), np.int8)))
    assert result[..., 0].item() == pytest.approx(70000 / 64 * 0.01, abs=quantization.scale)


def test_an_input_that_nothing_uses_stays_as_it_is() -> None:
    net = Network()
    x = net.input((1, 1, 1, 2), 1 / 64, 128)
    net.input((1, 3), 0.3, 7, name="unused")
    y = net.conv(x, weights((2, 1, 1, 2), 0), i8(0.01), u8(0.5, 128))
    source = net.finish(y)
    for io in ("target", "original"):
        module = lowered(source, "pow2-npu", io)
        assert module.graph.inputs[1] == source.graph.inputs[1]


@pytest.mark.parametrize("name", ["pow2-scale-npu", "esp32-s3", "esp32-p4", "xint8"])
def test_io_original_where_scales_are_powers_of_two(name: str) -> None:
    """Found by generated modules: the conversion behind the accelerator was refused for the true scale it reads."""
    net = Network()
    x = net.input((1, 4, 4, 4), 0.0173, 100)
    y = net.conv(x, weights((4, 1, 1, 4), 1), i8(0.004), u8(0.0131, 7), clamp=(0.0, 2.0))
    y = net.conv(y, weights((4, 1, 1, 4), 2), i8(0.004), u8(0.0137, 120), name="second")
    source = net.finish(net.emit(nn.Reshape(y, (1, 64)), "flat"))
    module = lowered(source, name, "original")
    assert module.graph.inputs == source.graph.inputs
    assert module.graph.outputs[0].value.type == source.graph.outputs[0].value.type
    inputs = random_inputs(source, 4)
    before, after = ReferenceProgram(source).run(inputs)["y"], Program(module).run(inputs)["y"]
    assert np.abs(before.astype(np.int64) - after.astype(np.int64)).mean() < 4


def with_float_input(module: Module) -> Module:
    """The same behind a quantize, as most ONNX files have it."""
    (value,) = module.graph.inputs
    builder = GraphBuilder(other.name for other in module.graph.values() if other != value)
    real = builder.add_input("x", TensorType(value.type.shape, FLOAT))
    builder.bind(value, builder.emit(nn.Quantize(real, value.type.element), name="codes"))
    for statement in module.graph.statements:
        old = statement.result
        builder.append(Statement((old,), statement.op.map_operands(builder.lookup), statement.location))
    return module.with_graph(builder.finish(module.graph.outputs))


@pytest.mark.parametrize("recipe", ["fast", "default"])
@pytest.mark.parametrize("target", ["sym-npu", "pow2-npu"])
def test_a_float_input_is_what_it_is_quantized_to(target: str, recipe: Recipe) -> None:
    module = residual_network()
    codes = random_inputs(module, 24)["x"]
    reals = module.graph.inputs[0].type.quantization.dequantize(codes)
    behind = with_float_input(module)
    found = mrqc.lower(behind, target, CalibrationSamples.of(reals.astype(np.float32), behind), recipe=recipe)
    assert found == mrqc.lower(module, target, CalibrationSamples.of(codes, module), recipe=recipe)


@pytest.mark.parametrize("target", ["sym-npu", "pow2-npu", "pow2-npu-per-channel"])
@pytest.mark.parametrize("model", ["resnet8.qdq.u8", "resnet8.qoperator.s8_pc"])
def test_pixels_stay_pixels(assets: Path, model: str, target: str) -> None:
    """Another scale would give the weights of the first layer a grid that suits them better."""
    module = mrqc.requantize(mrqc.load(assets / "models" / f"{model}.onnx"), target, recipe="fast")
    assert module.graph.inputs[0].type.element == i8(1.0, -128)
