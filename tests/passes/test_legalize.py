"""Each constraint of a target, broken once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from networks import Network, i8, residual_network, u8, weights

from mrqc.errors import TargetError
from mrqc.ir import Module
from mrqc.numerics import Rounding
from mrqc.ops import int as int_ops
from mrqc.passes import Legalize, parse_pipeline, run_pipeline
from mrqc.targets import Target, load_target

POW2 = load_target("pow2-npu")


def lowered(target: Target = POW2) -> Module:
    return run_pipeline(residual_network(), parse_pipeline("default", target))


def changed(module: Module, op: type, **changes: Any) -> Module:
    """The module with the first ``op`` changed, requantize fields by ``requantize__name``."""
    statements = list(module.graph.statements)
    index = next(i for i, statement in enumerate(statements) if isinstance(statement.op, op))
    old: Any = statements[index].op
    inner = {key.partition("__")[2]: value for key, value in changes.items() if key.startswith("requantize__")}
    outer = {key: value for key, value in changes.items() if not key.startswith("requantize__")}
    if inner:
        outer["requantize"] = replace(old.requantize, **inner)
    statements[index] = replace(statements[index], op=replace(old, **outer))
    return module.with_graph(replace(module.graph, statements=tuple(statements)))


def target_with(base: Target = POW2, **sections: dict[str, Any]) -> Target:
    content = base.model_dump()
    for section, changes in sections.items():
        content[section] = {**content[section], **changes}
    return Target.model_validate(content)


@pytest.mark.parametrize("name", ["pow2-npu", "sym-npu"])
def test_what_the_pipeline_makes_is_legal(name: str) -> None:
    target = load_target(name)
    module = lowered(target)
    assert Legalize(target)(module) is module


CHANGES = [
    (int_ops.Conv2D, {"requantize__rounding": Rounding.FLOOR}, "stem: rounds floor, the target half-up"),
    (int_ops.Conv2D, {"requantize__multiplier": (3,)}, "stem: needs a multiplier that is no power of two"),
    (int_ops.Conv2D, {"requantize__shift": (40,)}, r"stem: needs a right shift outside \[0, 31\]"),
    (int_ops.Conv2D, {"requantize__zero_point": 3}, "stem: has zero point 3, the target is symmetric"),
    (int_ops.Conv2D, {"requantize__shift": (1, 2, 3, 4, 5, 6, 7, 8)}, "stem: has a scale for each channel"),
    (int_ops.Add, {"lhs_multiplier": 3}, "residual: needs a multiplier that is no power of two"),
]


@pytest.mark.parametrize(("op", "change", "message"), CHANGES, ids=[next(iter(c)) for _, c, _ in CHANGES])
def test_arithmetic_that_the_target_lacks_is_named(op: type, change: dict[str, Any], message: str) -> None:
    with pytest.raises(TargetError, match=message):
        Legalize(POW2)(changed(lowered(), op, **change))


def limited(op: str, **limits: Any) -> Target:
    content = POW2.model_dump()
    content["ops"][op] = {**content["ops"][op], **limits}
    return Target.model_validate(content)


LIMITS = [
    ("int.conv2d", {"max_kernel": 2}, r"depthwise: kernel 3x3 exceeds the target's 2 \(ops.int.conv2d.max_kernel\)"),
    ("int.conv2d", {"groups": "none"}, r"depthwise: 16 groups, the target has none \(ops.int.conv2d.groups\)"),
    ("int.average_pool2d", {"max_kernel": 6}, r"mean: kernel 7x7 exceeds the target's 6"),
]


@pytest.mark.parametrize(("op", "limits", "message"), LIMITS, ids=[next(iter(limit)) for _, limit, _ in LIMITS])
def test_limits_of_an_op_are_named(op: str, limits: dict[str, Any], message: str) -> None:
    with pytest.raises(TargetError, match=message):
        Legalize(limited(op, **limits))(lowered())


def test_missing_ops_are_all_named_at_once() -> None:
    content = POW2.model_dump()
    del content["ops"]["int.add"]
    del content["ops"]["int.softmax"]
    with pytest.raises(TargetError) as caught:
        Legalize(Target.model_validate(content))(lowered())
    assert "2 problems" in str(caught.value)
    assert "residual: the target has no int.add" in str(caught.value)
    assert "softmax: the target has no int.softmax" in str(caught.value)


def test_an_accumulator_that_can_overflow_is_reported_with_its_bound() -> None:
    narrow = target_with(accumulator={"bits": 18}, bias={"bits": 18})
    with pytest.raises(TargetError, match=r"logits: its accumulator can reach \d+ in channel \d+, more than 18 bits"):
        Legalize(narrow)(lowered())


def test_the_accumulator_bound_is_tight_enough_to_pass_what_cannot_overflow() -> None:
    """127 * 127 * 8 + bias fits 18 bits; worst-case int8 by int8 reasoning over a ReLU output would not differ."""
    net = Network()
    x = net.input((1, 1, 1, 8), 1 / 64, 128)
    y = net.conv(x, np.full((1, 1, 1, 8), 127), i8(0.01), u8(0.5, 128))
    module = run_pipeline(net.finish(y), parse_pipeline("default", load_target("sym-npu")))
    assert Legalize(target_with(load_target("sym-npu"), accumulator={"bits": 18}, bias={"bits": 18}))(module)
    with pytest.raises(TargetError, match="more than 17 bits"):
        Legalize(target_with(load_target("sym-npu"), accumulator={"bits": 17}, bias={"bits": 17}))(module)


def test_a_bias_wider_than_its_register_is_refused_by_name() -> None:
    net = Network()
    x = net.input((1, 1, 1, 2), 1 / 64, 128)
    y = net.conv(x, weights((2, 1, 1, 2), 0), i8(0.01), u8(0.5, 128), bias=[70000, 1], name="wide_bias")
    module = run_pipeline(net.finish(y), parse_pipeline("default", load_target("sym-npu")))
    with pytest.raises(TargetError, match=r"wide_bias: biases from .* do not fit 16 bits"):
        Legalize(target_with(load_target("sym-npu"), bias={"bits": 16}))(module)


def test_nn_ops_are_told_to_be_lowered_first() -> None:
    with pytest.raises(TargetError, match=r"nn\.conv2d is not an integer op"):
        Legalize(POW2)(residual_network())
