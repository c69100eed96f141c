"""Moving modules to a target's scheme: what must hold for every module, and the traps one by one."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
from networks import Network, i8, residual_network, u8, weights

import mrqc
from mrqc.backends.reference import ReferenceProgram
from mrqc.backends.simulator import Program
from mrqc.calibration import CalibrationSamples
from mrqc.errors import InputError, TargetError
from mrqc.ir import FLOAT, Data, DType, Element, Module, Quantization, TensorType, verify
from mrqc.numerics import power_of_two_exponent
from mrqc.ops import int as int_ops
from mrqc.ops import nn
from mrqc.passes import Symmetrize
from mrqc.passes.bit_check import random_inputs
from mrqc.passes.requantize.weights import WeightGrid
from mrqc.targets import Target, load_target

TARGETS = ["sym-npu", "pow2-npu"]


WITHOUT_DATA = (
    "symmetrize,assign-scales,correct-weights,merge-channels,fold-rounding-error,clip-weights,round-weights,"
    "quantize-biases,absorb-zero-points"
)
"""Every pass that looks at no samples: what they give can be said beforehand."""


def requantized(module: Module, target: str | Target) -> Module:
    return mrqc.requantize(module, target, passes=WITHOUT_DATA)


def lowered(module: Module, target: str | Target, io: Literal["target", "original"] = "target") -> Module:
    return mrqc.lower(module, target, CalibrationSamples.synthetic(module, 4), io=io, recipe="fast")


def with_scheme(target: str, **sections: dict[str, object]) -> Target:
    content = load_target(target).model_dump()
    for section, changes in sections.items():
        content[section] = {**content[section], **changes}
    return Target.model_validate(content)


def only(module: Module, op: type) -> list[object]:
    return [statement.op for statement in module.graph.statements if isinstance(statement.op, op)]


@pytest.mark.parametrize("name", TARGETS)
def test_every_type_is_of_the_scheme(name: str) -> None:
    module = requantized(residual_network(), name)
    assert verify(module) == []
    for value in module.graph.values():
        quantization = value.type.quantization
        assert quantization is not None
        assert quantization.is_symmetric
        assert quantization.is_per_tensor
        assert value.type.dtype in (DType.I8, DType.I32)


@pytest.mark.parametrize("seed", range(5))
def test_all_multipliers_become_powers_of_two(seed: int) -> None:
    module = requantized(residual_network(seed), "pow2-npu")
    ratios: list[float] = []
    for statement in module.graph.statements:
        op = statement.op
        scales = [v.type.quantization.scale for v in (*op.operands, statement.result) if v.type.quantization]
        if isinstance(op, nn.Conv2D | nn.FullyConnected):
            ratios.append(scales[0] * scales[1] / scales[-1])
        elif isinstance(op, nn.Add):
            ratios += [scales[0] / scales[-1], scales[1] / scales[-1]]
        elif isinstance(op, nn.AveragePool2D):
            ratios.append(scales[0] / scales[-1] / math.prod(op.kernel))
    assert len(ratios) == 8
    assert all(power_of_two_exponent(ratio, 1e-12) is not None for ratio in ratios)


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("seed", range(3))
def test_the_function_is_kept(name: str, seed: int) -> None:
    """The integer module's real outputs against the original's: logits within a few percent of their range."""
    module = residual_network(seed)
    softmax = module.graph.statements[-1]
    logits = softmax.op.operands[0]
    module = module.with_graph(
        replace(
            module.graph,
            statements=module.graph.statements[:-1],
            outputs=(replace(module.graph.outputs[0], value=logits),),
        )
    )
    inputs = random_inputs(module, 8)
    before = logits.type.quantization.dequantize(ReferenceProgram(module).run(inputs)["y"])
    result = lowered(module, name, "original")
    after = result.graph.outputs[0].value.type.quantization.dequantize(Program(result).run(inputs)["y"])
    noise = np.sqrt(np.mean((before - after) ** 2))
    assert noise < 0.1 * np.sqrt(np.mean((before - before.mean()) ** 2))


def test_codes_stay_on_their_own_grid() -> None:
    """With free multipliers, weights within +-127 of their zero point do not change at all."""
    net = Network()
    codes = weights((4, 3, 3, 2), 1, low=-120, high=120)
    x = net.input((1, 6, 6, 2), 0.02, 128)
    y = net.conv(x, codes + 124, u8(0.013, 124), u8(0.2, 128))
    module = requantized(net.finish(y), "sym-npu")
    kernel = module.graph.definitions[only(module, nn.Conv2D)[0].weight].op
    assert np.array_equal(kernel.value.array, codes)
    assert kernel.element.quantization.scale == 0.013


def test_a_chain_keeps_every_coarse_grid_with_powers_of_two() -> None:
    """Along a chain there is an activation scale for each weight scale; channels of few levels are worth it."""
    net = Network()
    value = net.input((1, 4, 4, 8), 2.0**-5, 128)
    originals = []
    for index, scale in enumerate((0.0123, 0.0077, 0.0191, 0.0045)):
        codes = weights((8, 1, 1, 8), index, low=-3, high=3)
        codes[0] *= 40
        originals.append(codes)
        value = net.conv(value, codes + 128, u8(scale, 128), u8(6 / 255), clamp=(0.0, 6.0), name=f"conv{index}")
    module = requantized(net.finish(value), "pow2-npu")
    found = [module.graph.definitions[op.weight].op.value.array for op in only(module, nn.Conv2D)]
    assert all(np.array_equal(a, b) for a, b in zip(found, originals, strict=True))


def test_levels_that_leave_room_move_to_a_finer_grid() -> None:
    """Codes up to 5 could be up to 127: any scale is then close to a finer grid, and no weight moves by a percent."""
    net = Network()
    value = net.input((1, 4, 4, 8), 2.0**-5, 128)
    codes = weights((8, 1, 1, 8), 0, low=-5, high=5)
    value = net.conv(value, codes, i8(0.0123), u8(6 / 255), clamp=(0.0, 6.0))
    module = requantized(net.finish(value), "pow2-npu")
    kernel = module.graph.definitions[only(module, nn.Conv2D)[0].weight].op
    real = kernel.value.array * kernel.element.quantization.scale
    assert np.abs(real / 0.0123 - codes).max() < 0.05


@pytest.mark.parametrize("name", TARGETS)
def test_a_relu_that_the_zero_point_gave_for_free_survives(name: str) -> None:
    net = Network()
    x = net.input((1, 1, 1, 2), 1 / 64, 128)
    y = net.conv(x, np.array([[100, 0], [0, -100]]).reshape(2, 1, 1, 2), i8(0.01), u8(0.01, 0))
    module = lowered(net.finish(y), name)
    codes = np.array([[-128, 0], [127, 127], [0, -128]], np.int8).reshape(3, 1, 1, 2)
    output = module.graph.outputs[0].value.type.quantization
    result = output.dequantize(Program(module)(codes))
    assert result.min() == 0.0
    assert result.max() > 0.5


@pytest.mark.parametrize("name", TARGETS)
def test_relu6_stays_a_six(name: str) -> None:
    net = Network()
    x = net.input((1, 1, 1, 1), 0.1, 128)
    y = net.conv(x, np.full((1, 1, 1, 1), 100), i8(0.01), u8(0.1, 0), clamp=(0.0, 6.0))
    module = lowered(net.finish(y), name)
    top = Program(module)(np.array(127, np.int8).reshape(1, 1, 1, 1)).item()
    quantization = module.graph.outputs[0].value.type.quantization
    real = quantization.dequantize(np.array(top))
    assert real == pytest.approx(min(6.0, quantization.dequantize(np.array(127))), abs=quantization.scale / 2)
    assert real > 0.96 * 6.0


def test_an_input_whose_codes_fit_keeps_its_scale() -> None:
    module = requantized(residual_network(), "pow2-npu")
    assert module.graph.inputs[0].type.element == i8(2.0**-5)


def test_a_constant_that_two_layers_share_is_rewritten_for_each() -> None:
    net = Network()
    x = net.input((1, 4, 4, 2), 0.02, 128)
    kernel = net.constant(weights((2, 1, 1, 2), 3), i8(0.01))
    first = net.emit(nn.Conv2D(x, kernel, element=u8(0.04)), "first")
    second = net.emit(nn.Conv2D(first, kernel, element=u8(0.031)), "second")
    source = net.finish(second)
    module = requantized(source, "pow2-npu")
    inputs = random_inputs(source)
    before = ReferenceProgram(source).run(inputs)["y"] * 0.031
    result = lowered(source, "pow2-npu", "original")
    after = Program(result).run(inputs)["y"] * 0.031
    assert verify(module) == []
    assert np.abs(before - after).max() <= 0.04 * 4


@pytest.mark.parametrize("name", TARGETS)
def test_io_original_keeps_the_types_of_the_file(name: str) -> None:
    source = residual_network()
    module = lowered(source, name, "original")
    assert module.graph.inputs == source.graph.inputs
    assert module.graph.outputs[0].value.type == source.graph.outputs[0].value.type
    assert len(only(module, int_ops.Rescale)) == 2


def test_per_channel_targets_get_a_scale_for_each_channel() -> None:
    net = Network()
    scales = [0.001 * (channel + 1) for channel in range(6)]
    element = Element(DType.I8, Quantization.per_axis(scales, [0] * 6, 0))
    codes = weights((6, 3, 3, 2), 4)
    x = net.input((1, 5, 5, 2), 0.02, 128)
    y = net.conv(x, codes, element, u8(0.2, 128), bias=[3, -5, 7, 0, 100, -100])
    target = with_scheme("sym-npu", weight={"granularity": "per-channel"})
    module = lowered(net.finish(y), target)
    (op,) = only(module, int_ops.Conv2D)
    assert len(op.requantize.multiplier) == 6 or len(op.requantize.shift) == 6
    kernel = module.graph.definitions[op.weight].op.value.array
    assert np.array_equal(kernel, codes)


def test_per_channel_powers_of_two() -> None:
    net = Network()
    scales = [0.001 * (channel + 1) for channel in range(6)]
    element = Element(DType.I8, Quantization.per_axis(scales, [0] * 6, 0))
    x = net.input((1, 5, 5, 2), 0.02, 128)
    y = net.conv(x, weights((6, 3, 3, 2), 4), element, u8(0.2, 128))
    module = lowered(net.finish(y), with_scheme("pow2-npu", weight={"granularity": "per-channel"}))
    (op,) = only(module, int_ops.Conv2D)
    assert op.requantize.only_shifts
    assert len(op.requantize.shift) == 6


def test_restricted_activations_never_reach_minus_128() -> None:
    net = Network()
    x = net.input((1, 2, 2, 2), 0.02, 128)
    y = net.conv(x, weights((2, 1, 1, 2), 4), i8(0.5), u8(0.02, 128))
    module = lowered(net.finish(y), with_scheme("sym-npu", activation={"range": "restricted"}))
    codes = Program(module)(random_inputs(module, 16)["x"])
    assert codes.min() == -127


def test_a_float_layer_is_named() -> None:
    net = Network()
    x = net.builder.add_input("x", TensorType((1, 2, 2, 2), FLOAT))
    y = net.emit(nn.Clip(x, (0.0, 6.0)), "my_relu")
    with pytest.raises(InputError, match=r"my_relu: nn\.clip computes in floats"):
        Symmetrize(load_target("pow2-npu"))(net.finish(y))


def test_run_time_weights_are_refused_by_name() -> None:
    net = Network()
    x = net.input((1, 4, 4, 2), 0.02, 128)
    kernel = net.input((2, 1, 1, 2), 0.02, 0, DType.I8, "w")
    y = net.emit(nn.Conv2D(x, kernel, element=u8(0.2, 128)), "dynamic")
    with pytest.raises(TargetError, match="dynamic: the weights are computed at run time"):
        requantized(net.finish(y), "pow2-npu")


def test_a_mean_over_nine_beside_a_residual_is_refused_where_only_shifts_exist() -> None:
    net = Network()
    x = net.input((1, 5, 5, 2), 0.02, 128)
    pooled = net.emit(
        nn.AveragePool2D(x, (3, 3), padding=(1, 1, 1, 1), count_include_pad=True, element=u8(0.02, 128)), "pool"
    )
    y = net.emit(nn.Add(x, pooled, element=u8(0.04, 128)), "sum")
    with pytest.raises(TargetError, match="a fixed-point multiplier can run it"):
        lowered(net.finish(y), "pow2-npu")
    assert lowered(net.finish(y), "sym-npu")


def test_a_result_finer_than_its_accumulator_is_coarsened_instead_of_refused() -> None:
    """Tiny weights: M would be above one, which a right shift cannot give."""
    net = Network()
    x = net.input((1, 2, 2, 1), 1.0, 0)
    y = net.conv(x, np.full((1, 1, 1, 1), 127), i8(1.0), u8(0.01, 0))
    module = lowered(net.finish(y), "pow2-npu")
    assert all(op.requantize.shift[0] >= 0 for op in only(module, int_ops.Conv2D))


def test_relative_errors_agree_with_the_plain_definition() -> None:
    target = load_target("pow2-npu").weight
    generator = np.random.default_rng(0)
    for uniform in (True, False):
        scales = np.full(5, 0.01) if uniform else generator.uniform(0.005, 0.02, 5)
        for depth in (9, 900):
            codes = generator.integers(-140, 140, (5, depth)).astype(np.int32)
            grid = WeightGrid(codes, scales)
            candidates = np.array([0.004, 0.01, 0.013])
            real = codes * scales[:, None]
            for index, scale in enumerate(candidates):
                quantized = np.clip(np.rint(real / scale), -127, 127) * scale
                expected = ((quantized - real) ** 2).sum(axis=1) / (real**2).sum(axis=1)
                np.testing.assert_allclose(grid.relative_errors(candidates, target)[:, index], expected, atol=1e-12)


def test_one_output_channel_with_fewer_weights_than_levels() -> None:
    """Found by a generated module: the channel's weights are their own list of levels, and there is one channel."""
    grid = WeightGrid(np.array([[3, -7, 90]], np.int32), np.array([0.01]))
    errors = grid.relative_errors(np.array([0.01, 0.05]), load_target("sym-npu").weight)
    assert errors.shape == (1, 2)
    assert errors[0, 0] == 0.0 < errors[0, 1]


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
