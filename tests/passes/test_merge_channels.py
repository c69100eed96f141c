"""One scale for weights whose channels have one each: how it is chosen, and where nothing is chosen."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import Network, i8, residual_network, u8, weights

import mrqc
from mrqc.calibration import CalibrationSamples
from mrqc.ir import DType, Element, Module, Quantization
from mrqc.numerics import power_of_two_exponent
from mrqc.passes import RECIPES, parse_pipeline, run_pipeline
from mrqc.passes.requantize.form import LayerForm, layers_of
from mrqc.targets import load_target

BEFORE = "symmetrize,assign-scales,correct-weights"
ONE_SCALE = ("sym-npu", "pow2-npu", "sym-npu-restricted", "esp32-s3")
CHANNELS = 6


def network(scales: list[float], seed: int = 0) -> Module:
    """Two layers behind each other; the channels of the first have scales of their own, those of the second not."""
    net = Network()
    own = Element(DType.I8, Quantization.per_axis(scales, [0] * len(scales), 0))
    x = net.input((1, 5, 5, 3), 0.02, 128)
    y = net.conv(x, weights((len(scales), 3, 3, 3), seed), own, u8(0.05, 128), name="several")
    y = net.conv(y, weights((2, 1, 1, len(scales)), seed + 1), i8(0.013), u8(0.07, 128), name="one")
    return net.finish(y)


def after(module: Module, passes: str, target: str) -> Module:
    return run_pipeline(module, parse_pipeline(passes, load_target(target)))


def layer(module: Module, name: str) -> LayerForm:
    (found,) = [form for form in layers_of(module) if str(form.statement.location) == name]
    return found


def cost(form: LayerForm, target: str) -> float:
    return float(form.grid.relative_errors(form.weight_scales, load_target(target).weight).mean())


SCALES = st.lists(st.floats(2.0**-10, 2.0**-4), min_size=CHANNELS, max_size=CHANNELS, unique=True)


@pytest.mark.parametrize("target", ONE_SCALE)
@given(scales=SCALES, seed=st.integers(0, 99))
@settings(max_examples=10, deadline=None)
def test_the_scale_costs_no_more_than_those_of_the_extremes(target: str, scales: list[float], seed: int) -> None:
    module = network(scales, seed)
    merged, folded = (layer(after(module, f"{BEFORE},{end}", target), "several") for end in ENDS)
    assert len(merged.weight_scales) == 1
    assert cost(merged, target) <= cost(folded, target) + 1e-12
    if load_target(target).requantize.only_shifts:
        multiplier = merged.input_scale * merged.weight_scales[0] / merged.output_scale
        assert power_of_two_exponent(multiplier, 1e-12) is not None


SINGLE = "correct-weights,merge-channels,fold-rounding-error"
ENDS = ("merge-channels", "fold-rounding-error")
"""Folding makes multipliers comparable where the target only shifts; elsewhere it does nothing."""


@pytest.mark.parametrize("target", ONE_SCALE)
def test_few_large_channels_do_not_decide_for_all(target: str) -> None:
    module = network([0.2, *[0.001] * (CHANNELS - 1)])
    merged, folded = (layer(after(module, f"{BEFORE},{end}", target), "several") for end in ENDS)
    assert merged.weight_scales[0] < 0.6 * folded.weight_scales[0]
    assert cost(merged, target) < 0.8 * cost(folded, target)


@pytest.mark.parametrize("target", ONE_SCALE)
def test_weights_on_one_grid_are_left_alone(target: str) -> None:
    module = network([0.01, 0.02, 0.03])
    before, merged = (layer(after(module, passes, target), "one") for passes in (BEFORE, f"{BEFORE},merge-channels"))
    assert np.array_equal(merged.weight_scales, before.weight_scales)
    same = residual_network()
    assert str(after(same, f"{BEFORE},merge-channels", target)) == str(after(same, BEFORE, target))


@pytest.mark.parametrize("target", ["sym-npu-per-channel", "pow2-npu-per-channel", "esp32-p4", "asym-npu-i8"])
def test_other_targets_change_nothing(target: str) -> None:
    module = network([0.01, 0.02, 0.03])
    assert str(after(module, f"{BEFORE},merge-channels", target)) == str(after(module, BEFORE, target))


@pytest.mark.parametrize("target", ["sym-npu", "pow2-npu"])
def test_recipes_come_to_the_same_scale(target: str) -> None:
    module = network([0.05, 0.004, 0.003, 0.002, 0.001, 0.006])
    samples = CalibrationSamples.synthetic(module, 4)
    found = [
        mrqc.requantize(module, target, samples, passes=RECIPES["fast"].replace("clip-weights", passes))
        for passes in ("clip-weights", f"{SINGLE},clip-weights", SINGLE)
    ]
    assert len({str(module) for module in found[:2]}) == 1
    per_channel = [layer(module, "several").weight_scales.tolist() for module in found]
    assert per_channel[0] == per_channel[2]
