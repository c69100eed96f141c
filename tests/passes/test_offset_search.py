"""Zero points of tensors that additions and means meet: they follow from each other, and cost no more than before."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import Network, i8, weights

import mrqc
from mrqc.calibration import CalibrationSamples, Teacher
from mrqc.errors import TargetError
from mrqc.ir import DType, Element, Module, Op, Statement, Value
from mrqc.ops import nn
from mrqc.passes.requantize.activations import ActivationRange, activation_ranges
from mrqc.passes.requantize.assign_scales import AssignScales
from mrqc.passes.requantize.demand import Demand
from mrqc.passes.requantize.distribution import Distribution, distributions
from mrqc.passes.requantize.form import scale_of
from mrqc.passes.requantize.plan import ActivationPlan
from mrqc.passes.requantize.storage import Storage, Zero
from mrqc.passes.requantize.symmetrize import Symmetrize
from mrqc.passes.requantize.zero_points import offset_of
from mrqc.targets import Target, load_target
from mrqc.testing import nn_modules

POW2, FREE = load_target("pow2-npu"), load_target("sym-npu")


def elements_of(module: Module) -> dict[str, Element]:
    return {value.name: value.type.element for value in module.graph.values()}


def plan_of(module: Module, samples: CalibrationSamples | None = None, target: Target = POW2) -> ActivationPlan:
    ranges = {value.name: range_ for value, range_ in activation_ranges(module).items()}
    seen = {} if samples is None else distributions(Teacher(module, samples))
    return ActivationPlan.of(Symmetrize(target)(module), target, ranges, elements_of(module), seen=seen)


def assert_offsets_follow(plan: ActivationPlan, scales: list[float]) -> None:
    elements = plan.elements(scales)

    def offset(value: Value) -> float:
        quantization = elements[value.name].quantization
        assert quantization is not None
        return quantization.scale * quantization.zero_point

    def is_centred(value: Value) -> bool:
        return plan.demands[plan.groups.group_of[value]].storage.zero is Zero.CENTRED

    for statement in plan.module.graph.statements:
        op, result = statement.op, statement.result
        if result.name in plan.offsets.balancing and all(is_centred(value) for value in (*op.operands, result)):
            free = plan.offsets.balancing[result.name]
            scale = scales[plan.groups.group_of[free]]
            assert isinstance(op, nn.Add)
            assert offset(op.lhs) + offset(op.rhs) == pytest.approx(offset(result), abs=0.51 * scale)
        if isinstance(op, nn.Mean | nn.AveragePool2D) and is_centred(result) and is_centred(op.input):
            # Both round the same offset, each to codes of its own; a mean of a mean has that of the first operand.
            steps = sum(scales[plan.groups.group_of[value]] for value in (op.input, result))
            assert offset(op.input) == pytest.approx(offset(result), abs=0.51 * steps)


def cost(demands: Sequence[Demand], scales: list[float]) -> float:
    """What all groups lose at their scales and at the codes that zero has there."""
    zeros = [
        float(demand.storage.zero_point(demand.range, scale)) for demand, scale in zip(demands, scales, strict=True)
    ]
    if not all(demand.storage.has_zero(scale) for demand, scale in zip(demands, scales, strict=True)):
        return math.inf
    pairs = zip(demands, scales, zeros, strict=True)
    return sum(float(demand.costs_with(np.array([scale]), np.array([zero]))[0]) for demand, scale, zero in pairs)


@given(nn_modules(layers=(nn.Conv2D, nn.Add, nn.Mean, nn.AveragePool2D, nn.FullyConnected)))
def test_zero_points_follow_from_each_other_and_cost_no_more(module: Module) -> None:
    try:
        plan = plan_of(module)
    except TargetError:
        return
    before = plan.least_scales()
    found, scales = plan.searched(before)
    for demand, scale in zip(found.demands, scales, strict=True):
        assert demand.storage.minimum <= demand.storage.zero_point(demand.range, scale) <= demand.storage.maximum
    # Where additions and means have no code for an offset, nothing is promised; else it is as good as what it began at.
    begun = cost(plan.offsets.of_scales(plan.free, before), before)
    if begun < math.inf:
        assert cost(found.demands, scales) <= begun * (1 + 1e-9)
        assert_offsets_follow(found, scales)
    octaves = np.log2(np.array(scales) / np.array(before))
    assert np.allclose(octaves, np.rint(octaves), atol=1e-12)


def only(module: Module, kind: type[Op]) -> Statement:
    (found,) = [statement for statement in module.graph.statements if isinstance(statement.op, kind)]
    return found


def downsampling_block() -> Module:
    """Two layers, a sum of both behind a ReLU, and its mean, which takes a small part of the sum's range."""
    network = Network()
    x = network.input((1, 8, 8, 4), 0.02, -128, i8(1.0).dtype)
    left = network.conv(x, weights((4, 1, 1, 4), 1), i8(0.01), i8(0.05, 3), name="left")
    right = network.conv(x, weights((4, 1, 1, 4), 2), i8(0.01), i8(0.05, -4), name="right")
    total = network.emit(nn.Add(left, right, clamp=(0.0, 12.75), element=i8(0.05, -128)), "sum")
    mean = network.emit(nn.AveragePool2D(total, (8, 8), element=i8(0.05, -128)), "mean")
    flat = network.emit(nn.Reshape(mean, (1, 4)), "flat")
    kernel = network.constant(weights((3, 4), 3), i8(0.01))
    return network.finish(network.emit(nn.FullyConnected(flat, kernel, None, element=i8(0.1)), "fc"))


def test_a_mean_that_takes_few_values_gets_finer_codes() -> None:
    module = downsampling_block()
    rng = np.random.default_rng(0)
    pictures = rng.integers(-128, 128, (32, 8, 8, 4)).astype(np.int8)
    plan = plan_of(module, CalibrationSamples.of(pictures, module))
    mean_op = only(plan.module, nn.AveragePool2D)
    total, mean = plan.groups.group_of[mean_op.op.operands[0]], plan.groups.group_of[mean_op.result]
    fixed = plan.least_scales()
    assert fixed[mean] == fixed[total]
    found, scales = plan.searched(fixed)
    assert scales[mean] < scales[total]
    assert_offsets_follow(found, scales)


def test_joint_scales_are_at_the_offsets_that_were_found() -> None:
    module = downsampling_block()
    symmetric = Symmetrize(POW2)(module)
    assigned = AssignScales(POW2, samples=False).run(symmetric, Teacher(module))
    addition = only(assigned, nn.Add)

    def offset(value: Value) -> float:
        assert value.type.quantization is not None
        return value.type.quantization.scale * value.type.quantization.zero_point

    total = sum(offset(operand) for operand in addition.op.operands)
    coarser = max(scale_of(operand.type.element) for operand in addition.op.operands)
    assert total == pytest.approx(offset(addition.result), abs=0.51 * coarser)
    assert any(offset(operand) for operand in addition.op.operands)


@given(nn_modules(layers=(nn.Conv2D, nn.Add, nn.Sub, nn.Mean, nn.AveragePool2D, nn.FullyConnected)))
def test_free_scales_have_offsets_that_follow(module: Module) -> None:
    own = elements_of(module)
    plan = plan_of(module, CalibrationSamples.synthetic(module, 4), FREE)
    begun, before = plan.scales_of_least_error(own), plan
    found, scales = plan.searched_freely(own)
    for demand, scale in zip(found.demands, scales, strict=True):
        assert demand.storage.minimum <= demand.storage.zero_point(demand.range, scale) <= demand.storage.maximum
    if cost(before.offsets.of_scales(before.demands, begun), begun) < math.inf:
        assert_offsets_follow(found, scales)


def test_a_sum_and_its_operands_stay_on_the_grids_of_the_original(assets: Path) -> None:
    """Each addition of resnet8 leaves one operand an offset that is a whole number of its codes, or nearly."""
    module = mrqc.load(assets / "models" / "resnet8_s8.tflite")
    samples = CalibrationSamples.open(assets / "data" / "cifar10" / "calib.npz", module)
    own, plan = elements_of(module), plan_of(module, samples, FREE)
    found, scales = plan.searched_freely(own)
    elements = found.elements(scales)
    additions = [s for s in plan.module.graph.statements if isinstance(s.op, nn.Add)]
    assert len(additions) == 3
    for addition in additions:
        for value in (*addition.op.operands, addition.result):
            assert scale_of(elements[value.name]) == pytest.approx(scale_of(own[value.name]), rel=1e-9)
        offsets = {value: offset_of(elements[value.name]) for value in (*addition.op.operands, addition.result)}
        missing = offsets[addition.result] - sum(offsets[value] for value in addition.op.operands)
        free = plan.offsets.balancing[addition.result.name]
        assert abs(missing) / scale_of(elements[free.name]) < 0.1


VALUES = np.random.default_rng(0).uniform(-1000.0, 1000.0, 20_000)


def added_noise(scale: float, fraction: float) -> tuple[float, float]:
    """What a group is said to lose whose original has scale 1, and the error of values rounded on both grids."""
    storage = Storage(DType.I16, -32768, 32767, Zero.CENTRED)
    seen = Distribution(np.array([0.0]), np.array([1.0]), 1.0, 1.0)
    demand = Demand(ActivationRange(-1000.0, 1000.0), storage, seen=(seen,), own=(1.0,))
    rounded = (np.rint(VALUES / scale + fraction) - fraction) * scale
    said = float(demand.costs_with(np.array([scale]), np.array([0.0]), fraction)[0])
    return said, float(((rounded - np.rint(VALUES)) ** 2).mean())


@given(st.floats(-0.5, 0.5))
def test_on_the_same_grid_noise_is_what_lies_a_fraction_beside(fraction: float) -> None:
    said, measured = added_noise(1.0, fraction)
    assert said == pytest.approx(measured, abs=0.01)


@pytest.mark.parametrize("scale", [math.sqrt(0.1), math.sqrt(0.7), math.sqrt(2.0), math.pi])
def test_on_another_grid_noise_is_that_of_both(scale: float) -> None:
    said, measured = added_noise(scale, 0.0)
    assert said == pytest.approx(measured, rel=0.03)
