"""Zero points of tensors that additions and means meet: they follow from each other, and cost no more than before."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from networks import Network, i8, weights

from mrqc.calibration import CalibrationSamples, Teacher
from mrqc.errors import TargetError
from mrqc.ir import Module, Op, Statement, Value
from mrqc.ops import nn
from mrqc.passes.requantize.activations import activation_ranges
from mrqc.passes.requantize.assign_scales import AssignScales
from mrqc.passes.requantize.demand import Demand
from mrqc.passes.requantize.distribution import distributions
from mrqc.passes.requantize.form import scale_of
from mrqc.passes.requantize.plan import ActivationPlan
from mrqc.passes.requantize.storage import Zero
from mrqc.passes.requantize.symmetrize import Symmetrize
from mrqc.targets import load_target
from mrqc.testing import nn_modules

POW2 = load_target("pow2-npu")


def plan_of(module: Module, samples: CalibrationSamples | None = None) -> ActivationPlan:
    ranges = {value.name: range_ for value, range_ in activation_ranges(module).items()}
    own = {value.name: value.type.element for value in module.graph.values()}
    seen = {} if samples is None else distributions(Teacher(module, samples))
    return ActivationPlan.of(Symmetrize(POW2)(module), POW2, ranges, own, seen=seen)


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
