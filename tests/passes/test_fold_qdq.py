"""What ``fold-qdq`` folds, what it leaves, and that no code changes either way."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from mrqc.ir import (
    FLOAT,
    Data,
    DType,
    Element,
    GraphBuilder,
    Location,
    Module,
    Op,
    Output,
    Quantization,
    TensorType,
    Value,
)
from mrqc.ops import nn
from mrqc.passes.fold_qdq import FoldQdq
from mrqc.testing import assert_pass_exact
from mrqc.testing.types import single_precision

# Scales of 24 bits, as model files have them: doubles tell a tie between two codes from what is next to it.
INPUT = Element.per_tensor(DType.U8, single_precision(0.05), 100)
MIDDLE = Element.per_tensor(DType.I8, single_precision(0.07), -3)
RESULT = Element.per_tensor(DType.U8, single_precision(0.11), 20)
RELU = (0.0, math.inf)
IMAGE = (1, 4, 5, 3)


class Draft:
    """A raw module under construction: floats between dequantize and quantize."""

    def __init__(self) -> None:
        self.builder = GraphBuilder()
        self.random = np.random.default_rng(4)
        self.x = self.builder.add_input("x", TensorType(IMAGE, INPUT))

    def emit(self, op: Op, source: str = "") -> Value:
        return self.builder.emit(op, Location.of(source))

    def real(self, value: Value | None = None) -> Value:
        return self.emit(nn.Dequantize(value or self.x))

    def quantized(self, value: Value, element: Element = RESULT) -> Value:
        return self.emit(nn.Quantize(value, element))

    def requantized(self, value: Value, element: Element = MIDDLE) -> Value:
        return self.real(self.quantized(value, element))

    def constant(self, shape: tuple[int, ...], element: Element) -> Value:
        if element == FLOAT:
            return self.emit(nn.Constant(Data(self.random.normal(size=shape).astype(np.float32)), FLOAT))
        codes = self.random.integers(-100, 100, shape)
        return self.emit(nn.Constant(Data.of(codes, element.dtype), element))

    def convolution(self, value: Value, bias: Value | None = None) -> Value:
        channels = value.type.shape[-1]
        weight = self.constant((channels, 2, 2, channels), Element.per_tensor(DType.I8, single_precision(0.01)))
        return self.emit(nn.Conv2D(value, self.real(weight), bias), "conv")

    def module(self, *outputs: Value) -> Module:
        named = [Output(f"y{index}", value) for index, value in enumerate(outputs)]
        return Module("test", self.builder.finish(named))


def folded(module: Module) -> Module:
    return assert_pass_exact(FoldQdq(), module)


def ops(module: Module) -> list[Op]:
    return [statement.op for statement in module.graph.statements if not isinstance(statement.op, nn.Constant)]


def only(module: Module) -> Op:
    (op,) = ops(module)
    return op


BUILDERS: dict[str, Callable[[Draft, Value], Value]] = {
    "conv2d": Draft.convolution,
    "add": lambda draft, value: draft.emit(nn.Add(value, value)),
    "average_pool2d": lambda draft, value: draft.emit(nn.AveragePool2D(value, (2, 3), padding=(1, 0, 0, 1))),
    "max_pool2d": lambda draft, value: draft.emit(nn.MaxPool2D(value, (2, 3), padding=(1, 0, 0, 1))),
    "clip": lambda draft, value: draft.emit(nn.Clip(value, (-1.03, 2.01))),
    "softmax": lambda draft, value: draft.emit(nn.Softmax(value)),
}


@pytest.mark.parametrize("name", BUILDERS)
def test_one_op_between_dequantize_and_quantize(name: str) -> None:
    draft = Draft()
    module = draft.module(draft.quantized(BUILDERS[name](draft, draft.real())))
    op = only(folded(module))
    assert op.mnemonic == f"nn.{name}"
    assert op.operands[0] == module.graph.inputs[0]
    assert op.infer()[0].element == RESULT


@pytest.mark.parametrize("name", [name for name in BUILDERS if name != "softmax"])
def test_clips_become_the_clamp(name: str) -> None:
    draft = Draft()
    value = BUILDERS[name](draft, draft.real())
    for clamp in ((-1.5, math.inf), RELU, (-math.inf, 1.25)):
        value = draft.emit(nn.Clip(value, clamp))
    op = only(folded(draft.module(draft.quantized(value))))
    assert isinstance(op, nn.Conv2D | nn.Add | nn.AveragePool2D | nn.MaxPool2D | nn.Clip)
    assert op.clamp == (0.0, 1.25)


def test_the_order_of_disjoint_clips_counts() -> None:
    draft = Draft()
    value = draft.emit(nn.Clip(draft.emit(nn.Clip(draft.convolution(draft.real()), (1.0, 2.0))), (-1.0, 0.5)))
    op = only(folded(draft.module(draft.quantized(value))))
    assert isinstance(op, nn.Conv2D)
    assert op.clamp == (0.5, 0.5)


def test_fully_connected() -> None:
    draft = Draft()
    rows = draft.emit(nn.Reshape(draft.real(), (1, 60)))
    weight = draft.constant((7, 60), Element(DType.I8, Quantization.per_axis([single_precision(0.01)] * 7, [0] * 7, 0)))
    bias = draft.constant((7,), Element(DType.I32, Quantization.per_axis([single_precision(0.0005)] * 7, [0] * 7, 0)))
    layer = nn.FullyConnected(rows, draft.real(weight), draft.real(bias))
    reshape, op = ops(folded(draft.module(draft.quantized(draft.emit(layer)))))
    assert isinstance(reshape, nn.Reshape)
    assert isinstance(op, nn.FullyConnected)
    assert (op.weight, op.bias) == (weight, bias)


@pytest.mark.parametrize("element", [FLOAT, Element.per_tensor(DType.I32, single_precision(0.0005))])
def test_a_bias_may_be_codes_or_floats(element: Element) -> None:
    draft = Draft()
    constant = draft.constant((3,), element)
    bias = constant if element == FLOAT else draft.real(constant)
    op = only(folded(draft.module(draft.quantized(draft.convolution(draft.real(), bias)))))
    assert isinstance(op, nn.Conv2D)
    assert op.bias == constant


def test_float_weights_stay() -> None:
    draft = Draft()
    weight = draft.constant((3, 1, 1, 3), FLOAT)
    module = draft.module(draft.quantized(draft.emit(nn.Conv2D(draft.real(), weight))))
    assert [op.mnemonic for op in ops(folded(module))] == ["nn.dequantize", "nn.conv2d", "nn.quantize"]


def test_quantize_right_after_dequantize() -> None:
    draft = Draft()
    op = only(folded(draft.module(draft.quantized(draft.real()))))
    assert op == nn.Quantize(draft.x, RESULT)


def test_quantize_to_the_same_element_vanishes() -> None:
    draft = Draft()
    module = folded(draft.module(draft.quantized(draft.real(), INPUT)))
    assert module.graph.statements == ()
    assert module.graph.outputs[0].value == module.graph.inputs[0]


def test_a_clip_behind_a_quantize_is_an_op_of_its_own() -> None:
    draft = Draft()
    value = draft.requantized(draft.convolution(draft.real()))
    value = draft.quantized(draft.emit(nn.Clip(value, (-0.5, 0.3))))
    convolution, clip = ops(folded(draft.module(value)))
    assert isinstance(convolution, nn.Conv2D)
    assert convolution.infer()[0].element == MIDDLE
    assert clip.infer()[0].element == RESULT
    assert isinstance(clip, nn.Clip)
    assert clip.clamp == (-0.5, 0.3)


def test_one_dequantize_for_many_users() -> None:
    draft = Draft()
    real = draft.real()
    left, right = draft.requantized(draft.convolution(real)), draft.requantized(draft.emit(nn.Clip(real, RELU)))
    pooled = draft.requantized(draft.emit(nn.AveragePool2D(real, (2, 2))))
    total = draft.quantized(draft.emit(nn.Add(left, pooled)))
    names = [op.mnemonic for op in ops(folded(draft.module(total, draft.quantized(right))))]
    assert names == ["nn.conv2d", "nn.clip", "nn.average_pool2d", "nn.add", "nn.quantize"]


def test_a_float_result_with_two_schemes_stays() -> None:
    draft = Draft()
    value = draft.convolution(draft.real())
    module = folded(draft.module(draft.quantized(value), draft.quantized(value, MIDDLE)))
    assert [op.mnemonic for op in ops(module)] == [
        "nn.dequantize",
        "nn.dequantize",
        "nn.conv2d",
        "nn.quantize",
        "nn.quantize",
    ]


def test_a_float_result_quantized_twice_alike_is_one() -> None:
    draft = Draft()
    value = draft.convolution(draft.real())
    both = (draft.requantized(value), draft.requantized(value))
    module = folded(draft.module(draft.quantized(draft.emit(nn.Add(*both)))))
    assert [op.mnemonic for op in ops(module)] == ["nn.conv2d", "nn.add"]


@pytest.mark.parametrize("where", ["before the clip", "behind the clip"])
def test_a_float_result_that_leaves_the_module_stays(where: str) -> None:
    draft = Draft()
    value = draft.convolution(draft.real())
    clipped = draft.emit(nn.Clip(value, RELU))
    module = draft.module(draft.quantized(clipped), value if where == "before the clip" else clipped)
    names = [op.mnemonic for op in ops(folded(module))]
    assert names == ["nn.dequantize", "nn.dequantize", "nn.conv2d", "nn.clip", "nn.quantize"]


def test_moves_are_done_on_codes() -> None:
    draft = Draft()
    value = draft.emit(nn.Transpose(draft.real(), (0, 3, 1, 2)))
    value = draft.emit(nn.Reshape(value, (1, 60)))
    assert only_moves(folded(draft.module(draft.quantized(value, INPUT)))) == ["nn.transpose", "nn.reshape"]


def test_moves_before_a_change_of_scale() -> None:
    draft = Draft()
    value = draft.emit(nn.Transpose(draft.real(), (0, 3, 1, 2)))
    names = [op.mnemonic for op in ops(folded(draft.module(draft.quantized(value))))]
    assert names == ["nn.transpose", "nn.quantize"]


def test_moves_and_clips_between_an_op_and_its_quantize() -> None:
    draft = Draft()
    value = draft.emit(nn.Clip(draft.convolution(draft.real()), (-1.0, math.inf)))
    value = draft.emit(nn.Transpose(value, (0, 3, 1, 2)), "move")
    value = draft.emit(nn.Reshape(draft.emit(nn.Clip(value, (-2.0, 1.0))), (1, 36)))
    module = folded(draft.module(draft.quantized(value)))
    convolution, transpose, reshape = ops(module)
    assert isinstance(convolution, nn.Conv2D)
    assert convolution.clamp == (-1.0, 1.0)
    assert isinstance(transpose, nn.Transpose)
    assert isinstance(reshape, nn.Reshape)
    assert module.graph.outputs[0].value.type == TensorType((1, 36), RESULT)


def test_a_move_at_a_float_output_is_done_on_codes() -> None:
    draft = Draft()
    value = draft.emit(nn.Transpose(draft.requantized(draft.convolution(draft.real())), (0, 3, 1, 2)))
    names = [op.mnemonic for op in ops(folded(draft.module(value)))]
    assert names == ["nn.conv2d", "nn.transpose", "nn.dequantize"]


def test_a_move_at_a_float_input_changes_places_with_the_quantize() -> None:
    builder = GraphBuilder()
    x = builder.add_input("x", TensorType((1, 3, 4, 5), FLOAT))
    moved = builder.emit(nn.Transpose(x, (0, 2, 3, 1)))
    module = Module("test", builder.finish([Output("y", builder.emit(nn.Quantize(moved, RESULT)))]))
    quantize, transpose = ops(folded(module))
    assert quantize == nn.Quantize(x, RESULT)
    assert isinstance(transpose, nn.Transpose)


@pytest.mark.parametrize("axis", [0, 3])
def test_scales_for_each_channel(axis: int) -> None:
    draft = Draft()
    scales = [single_precision(0.05 * (index + 1)) for index in range(IMAGE[axis])]
    element = Element(DType.I8, Quantization.per_axis(scales, list(range(IMAGE[axis])), axis))
    value = draft.requantized(draft.emit(nn.MaxPool2D(draft.real(), (1, 1))), element)
    moved = draft.quantized(draft.emit(nn.Transpose(value, (0, 3, 1, 2))))
    flat = draft.quantized(draft.emit(nn.Reshape(value, (1, 60))))
    module = folded(draft.module(moved, flat))
    assert [op.mnemonic for op in ops(module)] == [
        "nn.max_pool2d",
        "nn.transpose",
        "nn.quantize",
        "nn.quantize",
        "nn.reshape",
    ]


def test_a_move_before_scales_for_each_channel_stays() -> None:
    draft = Draft()
    value = draft.emit(nn.Transpose(draft.convolution(draft.real()), (0, 3, 1, 2)))
    scales = [single_precision(0.05 * (index + 1)) for index in range(3)]
    element = Element(DType.I8, Quantization.per_axis(scales, [1, 2, 3], 1))
    names = [op.mnemonic for op in ops(folded(draft.module(draft.quantized(value, element))))]
    assert names == ["nn.dequantize", "nn.dequantize", "nn.conv2d", "nn.transpose", "nn.quantize"]


def test_pools_and_clips_without_a_quantize_are_done_on_codes() -> None:
    draft = Draft()
    value = draft.emit(nn.MaxPool2D(draft.real(), (2, 2)))
    value = draft.emit(nn.Clip(value, RELU))
    names = [op.mnemonic for op in ops(folded(draft.module(draft.quantized(draft.convolution(value)))))]
    assert names == ["nn.max_pool2d", "nn.clip", "nn.conv2d"]


@pytest.mark.parametrize("clamp", [(0.0, 6.0), (-1.02, math.inf), (20.0, 30.0), (-9.0, -6.0)])
def test_clips_between_codes_are_not_done_on_codes(clamp: tuple[float, float]) -> None:
    draft = Draft()
    value = draft.emit(nn.Clip(draft.real(), clamp))
    names = [op.mnemonic for op in ops(folded(draft.module(draft.quantized(draft.convolution(value)))))]
    assert names == ["nn.dequantize", "nn.clip", "nn.dequantize", "nn.conv2d", "nn.quantize"]


def test_a_clip_beyond_the_range_is_done_on_codes() -> None:
    draft = Draft()
    value = draft.emit(nn.Clip(draft.real(), (-50.0, 50.0)))
    names = [op.mnemonic for op in ops(folded(draft.module(value)))]
    assert names == ["nn.clip", "nn.dequantize"]


def test_a_clip_of_probabilities() -> None:
    for clamp, wanted in (
        ((0.0, 1.0), ["nn.softmax"]),
        ((0.0, 0.5), ["nn.softmax", "nn.clip"]),
    ):
        draft = Draft()
        value = draft.emit(nn.Clip(draft.emit(nn.Softmax(draft.real())), clamp))
        assert [op.mnemonic for op in ops(folded(draft.module(draft.quantized(value))))] == wanted


def test_what_is_folded_already_stays() -> None:
    draft = Draft()
    value = draft.quantized(draft.convolution(draft.real()))
    once = folded(draft.module(draft.quantized(draft.real(value), MIDDLE)))
    assert FoldQdq()(once) == once


def test_locations_are_merged_in_order() -> None:
    draft = Draft()
    value = draft.emit(nn.Clip(draft.convolution(draft.real()), RELU), "relu")
    module = folded(draft.module(draft.emit(nn.Quantize(value, RESULT), "quantize")))
    assert str(module.graph.statements[-1].location) == "conv + relu + quantize"


def only_moves(module: Module) -> list[str]:
    names = [op.mnemonic for op in ops(module)]
    assert set(names) <= {"nn.transpose", "nn.reshape"}
    return names
