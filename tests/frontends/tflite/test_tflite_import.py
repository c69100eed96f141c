"""What TFLite files mean: float models against LiteRT, names, constants, shapes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from agreement import assert_agrees, imported
from hypothesis import given, settings
from hypothesis import strategies as st
from tflite_files import ABSENT, NONE, RELU, RELU6, RELU_N1_TO_1, SAME, VALID, Options, Scales, TfliteFile, options
from tflite_strategies import window_size

import mrqc
from mrqc.errors import InputError
from mrqc.ops import nn

RANDOM = np.random.default_rng(5)


def floats(*shape: int) -> np.ndarray:
    return RANDOM.normal(0, 1, shape).astype(np.float32)


def conv_options(padding: int = SAME, stride: int = 1, fused: int = NONE, dilation: int = 1) -> Options:
    return options(
        "Conv2DOptions",
        padding=padding,
        stride_h=stride,
        stride_w=stride + 1,
        fused_activation_function=fused,
        dilation_h_factor=dilation,
        dilation_w_factor=1,
    )


@settings(max_examples=40)
@given(
    height=st.integers(1, 8),
    kernel=st.integers(1, 3),
    stride=st.integers(1, 3),
    dilation=st.integers(1, 2),
    padding=st.sampled_from((SAME, VALID)),
    fused=st.sampled_from((NONE, RELU, RELU_N1_TO_1, RELU6)),
    groups=st.sampled_from((1, 2)),
)
def test_convolutions(
    tmp_path_factory: pytest.TempPathFactory,
    height: int,
    kernel: int,
    stride: int,
    dilation: int,
    padding: int,
    fused: int,
    groups: int,
) -> None:
    rows, columns = window_size(height, kernel, stride, padding, dilation), window_size(6, 2, stride + 1, padding)
    if rows < 1 or columns < 1:
        return
    file = TfliteFile()
    image = file.input("f32", (1, height, 6, 4), name="x")
    weight = file.constant(floats(6, kernel, 2, 4 // groups))
    bias = file.constant(floats(6))
    output = file.output("f32", (1, rows, columns, 6))
    file.operator("CONV_2D", [image, weight, bias], [output], conv_options(padding, stride, fused, dilation))
    module = assert_agrees(file, tmp_path_factory.mktemp("conv"), x=floats(1, height, 6, 4))
    convolution = module.graph.statements[-1].op
    assert isinstance(convolution, nn.Conv2D)
    assert convolution.groups == groups


@pytest.mark.parametrize(("channels", "multiplier"), [(1, 1), (3, 1), (3, 2), (1, 4)])
def test_depthwise_convolutions(tmp_path: Path, channels: int, multiplier: int) -> None:
    file = TfliteFile()
    image = file.input("f32", (1, 5, 6, channels), name="x")
    weight = file.constant(floats(1, 2, 3, channels * multiplier))
    output = file.output("f32", (1, 3, 2, channels * multiplier))
    file.operator(
        "DEPTHWISE_CONV_2D",
        [image, weight, file.constant(floats(channels * multiplier))],
        [output],
        options("DepthwiseConv2DOptions", padding=SAME, stride_h=2, stride_w=3, depth_multiplier=multiplier),
    )
    assert_agrees(file, tmp_path, x=floats(1, 5, 6, channels))


def test_the_axis_of_depthwise_scales_is_that_of_the_outputs(tmp_path: Path) -> None:
    file = TfliteFile()
    image = file.input("i8", (1, 4, 4, 2), Scales.one(0.5, -3), name="x")
    codes = np.arange(-9, 9, dtype=np.int8).reshape(1, 3, 3, 2)
    weight = file.constant(codes, Scales.along(3, (0.25, 0.125)), "weight")
    bias = file.constant(np.int32([7, -9]), Scales.along(0, (0.125, 0.0625)))
    output = file.output("i8", (1, 4, 4, 2), Scales.one(0.5, 4))
    options_ = options("DepthwiseConv2DOptions", padding=SAME, stride_h=1, stride_w=1, depth_multiplier=1)
    file.operator("DEPTHWISE_CONV_2D", [image, weight, bias], [output], options_)
    module = imported(file, tmp_path)
    op = module.graph.statements[-1].op
    assert isinstance(op, nn.Conv2D)
    assert op.is_depthwise
    assert op.weight.type.shape == (2, 3, 3, 1)
    quantization = op.weight.type.quantization
    assert quantization is not None
    assert (quantization.scales, quantization.axis) == ((0.25, 0.125), 0)
    stored = module.graph.definitions[op.weight].op
    assert isinstance(stored, nn.Constant)
    assert np.array_equal(stored.value.array[:, :, :, 0], codes[0].transpose(2, 0, 1))


@pytest.mark.parametrize("bias_scales", [None, Scales.one(7.0), Scales.one(0.125, 3)])
def test_a_bias_is_at_the_scale_of_the_accumulator_whatever_the_file_says(
    tmp_path: Path, bias_scales: Scales | None
) -> None:
    """The runtime adds its codes to the accumulator and never looks at its scale."""
    file = TfliteFile()
    rows = file.input("i8", (1, 2), Scales.one(0.5), name="x")
    weight = file.constant(np.int8([[1, 2]]), Scales.one(0.25))
    output = file.output("i8", (1, 1), Scales.one(0.125))
    operands = [rows, weight, file.constant(np.int32([100]), bias_scales)]
    file.operator("FULLY_CONNECTED", operands, [output], options("FullyConnectedOptions"))
    op = imported(file, tmp_path).graph.statements[-1].op
    assert isinstance(op, nn.FullyConnected)
    assert op.bias is not None
    assert op.bias.type.quantization is not None
    assert (op.bias.type.quantization.scale, op.bias.type.quantization.zero_point) == (0.125, 0)


@pytest.mark.parametrize(
    ("shape", "keep", "result"),
    [
        ((2, 6), False, (2, 4)),
        ((2, 6), True, (2, 4)),
        ((1, 2, 3), False, (1, 4)),
        ((3, 2, 6), True, (3, 2, 4)),
        ((6,), False, (1, 4)),
    ],
)
def test_fully_connected_layers_of_any_rank(
    tmp_path: Path, shape: tuple[int, ...], keep: bool, result: tuple[int, ...]
) -> None:
    file = TfliteFile()
    operands = [file.input("f32", shape, name="x"), file.constant(floats(4, 6)), file.constant(floats(4))]
    fields = options("FullyConnectedOptions", keep_num_dims=keep, fused_activation_function=RELU)
    file.operator("FULLY_CONNECTED", operands, [file.output("f32", result)], fields)
    assert_agrees(file, tmp_path, x=floats(*shape))


@pytest.mark.parametrize("builtin", ["RELU", "RELU6", "RELU_N1_TO_1", "RELU_0_TO_1", "SOFTMAX"])
def test_activations(tmp_path: Path, builtin: str) -> None:
    file = TfliteFile()
    fields = options("SoftmaxOptions", beta=1.0) if builtin == "SOFTMAX" else None
    file.operator(builtin, [file.input("f32", (2, 9), name="x")], [file.output("f32", (2, 9))], fields)
    assert_agrees(file, tmp_path, x=floats(2, 9) * 5)


@pytest.mark.parametrize("builtin", ["AVERAGE_POOL_2D", "MAX_POOL_2D"])
@pytest.mark.parametrize("padding", [SAME, VALID])
def test_pools(tmp_path: Path, builtin: str, padding: int) -> None:
    file = TfliteFile()
    size = (1, 3, 4, 2) if padding == SAME else (1, 2, 3, 2)
    fields = options("Pool2DOptions", padding=padding, stride_h=2, stride_w=1, filter_height=3, filter_width=2)
    file.operator(builtin, [file.input("f32", (1, 5, 4, 2), name="x")], [file.output("f32", size)], fields)
    assert_agrees(file, tmp_path, x=floats(1, 5, 4, 2))


def test_weights_of_half_precision_become_floats(tmp_path: Path) -> None:
    file = TfliteFile()
    rows = file.input("f32", (1, 3), name="x")
    half = file.constant(floats(2, 3).astype(np.float16), name="half")
    weight = file.tensor("f32", (2, 3))
    file.operator("DEQUANTIZE", [half], [weight], options("DequantizeOptions"))
    fields = options("FullyConnectedOptions")
    file.operator("FULLY_CONNECTED", [rows, weight, ABSENT], [file.output("f32", (1, 2))], fields)
    module = assert_agrees(file, tmp_path, x=floats(1, 3))
    assert [type(statement.op) for statement in module.graph.statements] == [nn.Constant, nn.FullyConnected]


def test_a_shape_that_is_worked_out_step_by_step(tmp_path: Path) -> None:
    """What converters make of ``reshape(x, [shape(x)[0], -1])`` with an open batch."""
    file = TfliteFile()
    image = file.input("f32", (1, 2, 3, 2), name="x")
    file.graph.tensors[image].shapeSignature = [-1, 2, 3, 2]
    shape = file.tensor("i32", (4,))
    batch = file.tensor("i32", ())
    wanted = file.tensor("i32", (2,))
    file.operator("SHAPE", [image], [shape], options("ShapeOptions", outType=2))
    begin, end, one = file.integers([0]), file.integers([1]), file.integers([1])
    fields = options("StridedSliceOptions", shrink_axis_mask=1)
    file.operator("STRIDED_SLICE", [shape, begin, end, one], [batch], fields)
    rest = file.integers(-1)
    file.operator("PACK", [batch, rest], [wanted], options("PackOptions", values_count=2, axis=0))
    file.operator("RESHAPE", [image, wanted], [file.output("f32", (1, 12))])
    module = assert_agrees(file, tmp_path, x=floats(1, 2, 3, 2))
    assert [type(statement.op) for statement in module.graph.statements] == [nn.Reshape]


def test_constants_among_the_operands_and_outputs(tmp_path: Path) -> None:
    file = TfliteFile()
    rows = file.input("f32", (2, 2), name="x")
    known = file.constant(floats(2, 2), name="known")
    total = file.output("f32", (2, 2), name="total")
    file.operator("ADD", [known, rows], [total], options("AddOptions", fused_activation_function=RELU))
    file.graph.outputs.append(known)
    assert_agrees(file, tmp_path, x=floats(2, 2))


def test_inputs_and_outputs_keep_their_order_and_names(tmp_path: Path) -> None:
    """An output that another operator reads, the same tensor twice, an input that nothing reads."""
    file = TfliteFile()
    first, second = file.input("f32", (1, 2), name="b"), file.input("f32", (1, 2), name="a")
    file.input("f32", (3,), name="unused")
    clipped = file.tensor("f32", (1, 2), name="clip/out")
    total = file.tensor("f32", (1, 2), name="total")
    file.operator("RELU", [second], [clipped])
    file.operator("ADD", [clipped, first], [total], options("AddOptions"))
    file.graph.outputs = [total, clipped, total]
    inputs = {"a": floats(1, 2), "b": floats(1, 2), "unused": floats(3)}
    module = assert_agrees(file, tmp_path, **inputs)
    assert [value.name for value in module.graph.inputs] == ["b", "a", "unused"]
    assert [output.name for output in module.graph.outputs] == ["total", "clip/out", "total_1"]
    assert [str(statement.location) for statement in module.graph.statements] == ["clip/out", "total"]


def test_names_of_the_signature_go_before_those_of_tensors(tmp_path: Path) -> None:
    file = TfliteFile()
    rows = file.input("f32", (1, 2), name="serving_default_x:0")
    result = file.output("f32", (1, 2), name="StatefulPartitionedCall:0")
    file.operator("RELU", [rows], [result])
    file.signature({"x": rows}, {"y": result})
    module = imported(file, tmp_path, "some-model.tflite")
    assert [value.name for value in module.graph.inputs] == ["x"]
    assert [output.name for output in module.graph.outputs] == ["y"]
    assert module.name == "some_model"
    assert (module.fact("source"), module.fact("format")) == ("some-model.tflite", "tflite")


@pytest.mark.parametrize("signature", [None, [-1, 3]])
def test_an_open_batch_becomes_one_or_what_is_asked_for(tmp_path: Path, signature: list[int] | None) -> None:
    file = TfliteFile()
    operand = file.input("f32", (1 if signature else -1, 3), name="x")
    file.graph.tensors[operand].shapeSignature = signature
    file.operator("RELU", [operand], [file.output("f32", (1, 3))])
    assert imported(file, tmp_path).graph.inputs[0].type.shape == (1, 3)
    module = mrqc.load(tmp_path / "model.tflite", batch=4)
    assert module.graph.inputs[0].type.shape == module.graph.outputs[0].value.type.shape == (4, 3)


def test_a_fixed_batch_stays(tmp_path: Path) -> None:
    path = tmp_path / "fixed.tflite"
    file = TfliteFile()
    file.operator("RELU", [file.input("f32", (2, 3))], [file.output("f32", (2, 3))])
    path.write_bytes(file.content())
    with pytest.raises(InputError, match=r"the batch cannot become 4: no input leaves its leading extent open"):
        mrqc.load(path, batch=4)


def test_tensors_without_names(tmp_path: Path) -> None:
    file = TfliteFile()
    file.operator("RELU", [file.input("f32", (1, 2))], [file.output("f32", (1, 2))])
    for tensor in file.graph.tensors:
        tensor.name = None
    module = imported(file, tmp_path)
    assert (module.graph.inputs[0].name, module.graph.outputs[0].name) == ("tensor_0", "tensor_1")


def test_statements_that_nothing_needs_go(tmp_path: Path) -> None:
    file = TfliteFile()
    rows = file.input("f32", (1, 2))
    file.operator("RELU6", [rows], [file.tensor("f32", (1, 2))])
    file.operator("RELU", [rows], [file.output("f32", (1, 2))])
    assert len(imported(file, tmp_path).graph.statements) == 1


@pytest.mark.parametrize("dtype", ["i8", "u8", "i16"])
def test_the_scales_of_codes_are_the_files_own(tmp_path: Path, dtype: str) -> None:
    file = TfliteFile()
    zero_point = 0 if dtype == "i16" else 17
    rows = file.input(dtype, (1, 4), Scales.one(0.1, zero_point))
    file.operator("RELU", [rows], [file.output(dtype, (1, 4), Scales.one(0.3))])
    module = imported(file, tmp_path)
    (statement,) = module.graph.statements
    for value, scale, expected in ((module.graph.inputs[0], 0.1, zero_point), (statement.result, 0.3, 0)):
        quantization: Any = value.type.quantization
        assert quantization.scale == np.float32(scale)
        assert quantization.zero_point == expected
        assert str(value.type.dtype) == dtype


def test_float_operators_between_codes_stay_float(tmp_path: Path) -> None:
    """The runtime computes them in floats, which no integer arithmetic repeats byte for byte."""
    file = TfliteFile()
    codes = file.input("i8", (1, 4), Scales.one(0.1), name="x")
    reals, clipped = file.tensor("f32", (1, 4)), file.tensor("f32", (1, 4), name="island")
    file.operator("DEQUANTIZE", [codes], [reals], options("DequantizeOptions"))
    file.operator("RELU", [reals], [clipped])
    file.operator("QUANTIZE", [clipped], [file.output("i8", (1, 4), Scales.one(0.2))], options("QuantizeOptions"))
    path = tmp_path / "island.tflite"
    path.write_bytes(file.content())
    module = mrqc.load(path)
    assert [type(statement.op) for statement in module.graph.statements] == [nn.Dequantize, nn.Clip, nn.Quantize]
    with pytest.raises(mrqc.TargetError, match="a dequantize inside the model, floats follow"):
        mrqc.lower(module, "tflite")


@pytest.mark.parametrize(("option", "dtype"), [(2, "i32"), (4, "i64")])
def test_indices_have_the_type_of_the_option(tmp_path: Path, option: int, dtype: str) -> None:
    """The runtime goes by it, whatever the file says about the result."""
    file = TfliteFile()
    operands = [file.input("f32", (2, 4), name="x"), file.integers([1])]
    file.operator("ARG_MAX", operands, [file.output("i32", (2,))], options("ArgMaxOptions", output_type=option))
    module = assert_agrees(file, tmp_path, x=floats(2, 4))
    assert str(module.graph.outputs[0].value.type.dtype) == dtype
