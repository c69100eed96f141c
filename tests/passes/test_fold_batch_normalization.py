"""Where ``fold-batch-normalization`` puts factors and addends, and that the real numbers stay."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mrqc
from mrqc.errors import MrqcError, TargetError
from mrqc.ir import FLOAT, Data, GraphBuilder, Location, Module, Op, Output, TensorType, Value, verify
from mrqc.ops import nn
from mrqc.passes import FoldBatchNormalization
from mrqc.targets import load_target
from mrqc.testing import assert_round_trips

FOLD = FoldBatchNormalization()


class Floats:
    """A module of floats under construction."""

    def __init__(self, seed: int = 0) -> None:
        self.random = np.random.default_rng(seed)
        self.builder = GraphBuilder()

    def input(self, *shape: int) -> Value:
        return self.builder.add_input("x", TensorType(shape, FLOAT))

    def numbers(self, *shape: int, low: float = -1.0, high: float = 1.0) -> Value:
        array = self.random.uniform(low, high, shape).astype(np.float32)
        return self.builder.emit(nn.Constant(Data(array), FLOAT))

    def emit(self, op: Op, name: str = "") -> Value:
        return self.builder.emit(op, Location.of(name))

    def normalized(self, x: Value, name: str = "norm", **changes: Value) -> Value:
        channels = x.type.shape[-1]
        variance = self.numbers(channels, low=0.25, high=4.0)
        op = nn.BatchNormalization(x, *(self.numbers(channels) for _ in range(3)), variance, 1e-3)
        return self.emit(replace(op, **changes), name)

    def conv(self, x: Value, outputs: int, kernel: int = 1, groups: int = 1, bias: bool = True, **more: Any) -> Value:
        weight = self.numbers(outputs, kernel, kernel, x.type.shape[3] // groups)
        op = nn.Conv2D(x, weight, self.numbers(outputs) if bias else None, groups=groups, **more)
        return self.emit(op, "conv")

    def transposed(self, x: Value, outputs: int) -> Value:
        op = nn.TransposeConv2D(x, self.numbers(outputs, 2, 2, x.type.shape[3]), self.numbers(outputs), (2, 2))
        return self.emit(op, "transposed")

    def product(self, x: Value, outputs: int, bias: bool = True) -> Value:
        offset = self.numbers(outputs) if bias else None
        return self.emit(nn.FullyConnected(x, self.numbers(outputs, x.type.shape[1]), offset), "product")

    def finish(self, *results: Value) -> Module:
        outputs = [Output(f"y{index}", value) for index, value in enumerate(results)]
        return Module("floats", self.builder.finish(outputs))


def counts(module: Module) -> Counter[str]:
    return Counter(
        s.op.mnemonic.partition(".")[2] for s in module.graph.statements if not isinstance(s.op, nn.Constant)
    )


def assert_same_reals(before: Module, after: Module) -> None:
    shape = before.graph.inputs[0].type.shape
    x = np.random.default_rng(5).normal(size=(2 * shape[0], *shape[1:])).astype(np.float32)
    expected, found = mrqc.reference(before).run({"x": x}), mrqc.reference(after).run({"x": x})
    reach = max(float(np.abs(array).max(initial=1.0)) for array in mrqc.reference(before).trace({"x": x}).values())
    for output in before.graph.outputs:
        assert found[output.name].shape == expected[output.name].shape
        assert np.abs(found[output.name] - expected[output.name]).max() <= 1e-5 * reach


@st.composite
def float_modules(draw: st.DrawFn) -> Module:
    """Images or rows through layers, clamps, branches and batch normalizations, every other op one of these."""
    net = Floats(draw(st.integers(0, 1000)))
    is_image = draw(st.booleans())
    shape = (1, draw(st.integers(1, 5)), draw(st.integers(1, 5)), draw(st.integers(1, 4)))
    values = [net.input(*shape) if is_image else net.input(2, shape[3])]
    for _ in range(draw(st.integers(1, 8))):
        x = draw(st.sampled_from((values[-1], values[-1], values[-1], *values)))
        kinds = ("normalized",) * 4 + (("conv", "depthwise", "transposed") if is_image else ("product",) * 3)
        match draw(st.sampled_from((*kinds, "clip", "add", "bias"))):
            case "normalized":
                values.append(net.normalized(x))
            case "conv":
                clamp = draw(st.sampled_from((nn.UNBOUNDED, nn.UNBOUNDED, (0.0, 1.0))))
                values.append(net.conv(x, draw(st.integers(1, 4)), bias=draw(st.booleans()), clamp=clamp))
            case "depthwise":
                channels = x.type.shape[3]
                padding = (1, 1, 1, 1)
                values.append(net.conv(x, channels * draw(st.integers(1, 2)), 3, channels, padding=padding))
            case "transposed":
                values.append(net.transposed(x, draw(st.integers(1, 4))) if x.type.shape[1] < 9 else net.normalized(x))
            case "product":
                values.append(net.product(x, draw(st.integers(1, 4)), draw(st.booleans())))
            case "clip":
                values.append(net.emit(nn.Clip(x, (0.0, 6.0))))
            case "bias":
                values.append(net.emit(nn.Add(x, net.numbers(x.type.shape[-1]))))
            case _:
                other = draw(st.sampled_from([value for value in values if value.type.shape == x.type.shape]))
                values.append(net.emit(nn.Add(x, other)))
    results = [values[-1], *draw(st.lists(st.sampled_from(values[1:]), max_size=1))]
    return net.finish(*results)


@settings(max_examples=40, deadline=None)
@given(float_modules())
def test_the_real_numbers_stay(module: Module) -> None:
    folded = FOLD(module)
    assert verify(folded) == []
    assert_round_trips(folded)
    assert_round_trips(module)
    assert counts(folded)["batch_normalization"] == 0
    assert_same_reals(module, folded)


@pytest.mark.parametrize("layer", ["conv", "transposed", "product"])
def test_a_normalization_disappears_into_the_layer_before_it(layer: str) -> None:
    net = Floats()
    x = net.input(1, 3) if layer == "product" else net.input(1, 4, 4, 3)
    module = net.finish(net.normalized(net.normalized(getattr(net, layer)(x, 2), "first"), "second"))
    folded = FOLD(module)
    (mnemonic,) = counts(folded)
    assert counts(folded).total() == 1
    assert mnemonic != "batch_normalization"
    assert folded.graph.statements[-1].location.sources == (layer, "first", "second")
    assert_same_reals(module, folded)


def test_so_does_one_behind_an_added_bias() -> None:
    net = Floats()
    product = net.product(net.input(1, 3), 4, bias=False)
    module = net.finish(net.normalized(net.emit(nn.Add(product, net.numbers(4)), "sum")))
    folded = FOLD(module)
    assert counts(folded) == {"fully_connected": 1}
    assert folded.graph.statements[-1].location.sources == ("product", "sum", "norm")
    assert_same_reals(module, folded)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((2, 3), {"fully_connected": 1}),
        ((1, 4, 5, 3), {"conv2d": 1}),
        ((1, 5, 3), {"mul": 1, "add": 1}),
        ((1, 2, 3, 2, 3), {"mul": 1, "add": 1}),
    ],
)
def test_without_a_layer_it_becomes_one(shape: tuple[int, ...], expected: dict[str, int]) -> None:
    net = Floats()
    module = net.finish(net.normalized(net.input(*shape)))
    folded = FOLD(module)
    assert counts(folded) == expected
    assert_same_reals(module, folded)


def test_a_layer_with_another_use_or_a_clamp_or_in_between_is_left_alone() -> None:
    def layers(build: Any) -> int:
        net = Floats()
        module = net.finish(*build(net, net.input(1, 4, 4, 2)))
        assert_same_reals(module, FOLD(module))
        return counts(FOLD(module))["conv2d"]

    def output(net: Floats, x: Value) -> list[Value]:
        middle = net.conv(x, 3)
        return [net.normalized(middle), middle]

    def branch(net: Floats, x: Value) -> list[Value]:
        middle = net.conv(x, 3)
        return [net.emit(nn.Add(net.normalized(middle), middle))]

    def clip(net: Floats, x: Value) -> list[Value]:
        return [net.normalized(net.emit(nn.Clip(net.conv(x, 3), (0.0, 1.0))))]

    def image(net: Floats, x: Value) -> list[Value]:
        return [net.normalized(net.emit(nn.Add(net.conv(x, 3), net.numbers(1, 4, 4, 3))))]

    assert layers(lambda net, x: [net.normalized(net.conv(x, 3))]) == 1
    assert layers(lambda net, x: [net.normalized(net.conv(x, 3, clamp=(0.0, 6.0)))]) == 2
    assert [layers(build) for build in (output, branch, clip, image)] == [2, 2, 2, 2]


def test_two_normalizations_of_one_layer_stay_two() -> None:
    net = Floats()
    middle = net.conv(net.input(1, 3, 3, 2), 3)
    module = net.finish(net.emit(nn.Add(net.normalized(middle), net.normalized(middle))))
    assert counts(FOLD(module)) == {"conv2d": 3, "add": 1}
    assert_same_reals(module, FOLD(module))


def test_computed_parameters_and_numbers_beyond_single_precision_stay() -> None:
    net = Floats()
    x = net.input(1, 3)
    computed = net.emit(nn.Reshape(x, (3,)))
    huge = net.emit(nn.Constant(Data(np.full(3, 3e38, np.float32)), FLOAT))
    module = net.finish(
        net.normalized(x, scale=computed), net.normalized(x, scale=huge, variance=net.numbers(3, low=1e-4, high=2e-4))
    )
    assert counts(FOLD(module))["batch_normalization"] == 2
    with pytest.raises(TargetError, match=r"norm: nn\.batch_normalization: TFLite has no such operator"):
        mrqc.emit_tflite(module)


def test_it_stands_at_the_beginning_of_every_way_to_integers() -> None:
    for target in ("pow2-npu", "sym-npu", "tflite", "onnxruntime"):
        loaded, net = load_target(target), Floats()
        module = net.finish(net.normalized(net.conv(net.input(1, 3, 3, 2), 3)))
        with pytest.raises(MrqcError, match=r"conv \+ norm: ") as caught:
            mrqc.run_passes(module, loaded.pipeline, loaded)
        assert "batch normalization" not in str(caught.value)
