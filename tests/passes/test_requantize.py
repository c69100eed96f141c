"""Moving modules to a target's scheme: what must hold for every module, and what is refused."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from networks import Network, i8, residual_network, u8, weights
from requantizing import TARGETS, lowered, only, requantized, with_scheme

from mrqc.backends.reference import ReferenceProgram
from mrqc.backends.simulator import Program
from mrqc.errors import InputError, TargetError
from mrqc.ir import FLOAT, DType, Element, Quantization, TensorType, verify
from mrqc.numerics import power_of_two_exponent
from mrqc.ops import int as int_ops
from mrqc.ops import nn
from mrqc.passes import Symmetrize
from mrqc.passes.bit_check import random_inputs
from mrqc.passes.requantize.weights import WeightGrid
from mrqc.targets import load_target


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
