"""Running whole nn.* modules: batches, floats and codes, folding, and agreement with the integers."""

import weakref

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from integer_modules import SEEDS, windows

from mrqc.backends import interpreter
from mrqc.backends.reference import ReferenceProgram, kernel_of
from mrqc.backends.simulator import Program
from mrqc.errors import InputError
from mrqc.ir import (
    FLOAT,
    Data,
    DType,
    Element,
    GraphBuilder,
    Location,
    Module,
    Output,
    Quantization,
    TensorType,
    verify,
)
from mrqc.numerics import Rounding
from mrqc.ops import int as int_ops
from mrqc.ops import nn
from mrqc.ops.window import Window
from mrqc.testing import nn_modules, random_inputs

U8 = Element.per_tensor(DType.U8, 0.1, 120)
WEIGHT_SCALES = (0.011237, 0.02119, 0.031771, 0.041593)
"""No round numbers: 0.1 * 0.01 / 0.1 would put exact decimal ties, broken by the last bit of a double."""


def mixed_network(batch: int = 1) -> Module:
    """As an importer leaves it: float convolution between quantize and dequantize, then quantized ops."""
    random = np.random.default_rng(0)
    builder = GraphBuilder()
    x = builder.add_input("image", TensorType((batch, 5, 5, 3), FLOAT))
    codes = builder.emit(nn.Quantize(x, U8), name="codes")
    real = builder.emit(nn.Dequantize(codes), name="real")
    scales = Quantization.per_axis(WEIGHT_SCALES, (0, 3, 0, -5), axis=0)
    stored = builder.emit(
        nn.Constant(Data(random.integers(-128, 128, (4, 3, 3, 3)).astype(np.int8)), Element(DType.I8, scales)),
        name="stored",
    )
    weight = builder.emit(nn.Dequantize(stored), name="weight")
    wide = builder.emit(nn.Conv2D(real, weight, padding=(1, 1, 1, 1)), name="wide")
    narrow = builder.emit(nn.Quantize(wide, U8), name="narrow")
    quantized = builder.emit(
        nn.Conv2D(codes, stored, padding=(1, 1, 1, 1), clamp=(0.0, 6.0), element=U8), name="quantized"
    )
    total = builder.emit(nn.Add(narrow, quantized, element=U8), name="total")
    mean = builder.emit(nn.AveragePool2D(total, (5, 5), element=U8), name="mean")
    flat = builder.emit(nn.Reshape(mean, (batch, 4)), name="flat")
    shares = builder.emit(nn.Softmax(flat), name="shares")
    module = Module("mixed", builder.finish([Output("shares", shares), Output("mean", mean)]))
    assert verify(module) == []
    return module


def images(count: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 3, (count, 5, 5, 3))


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("slice_bytes", [1, 9000, 1 << 30])
def test_neither_batch_nor_slices_have_any_influence(
    batch: int, slice_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = [ReferenceProgram(mixed_network()).trace(image[None]) for image in images(6)]
    monkeypatch.setattr(interpreter, "SLICE_BYTES", slice_bytes)
    found = ReferenceProgram(mixed_network(batch)).trace(images(6))
    for name in ("codes", "wide", "quantized", "total", "mean", "shares"):
        assert found[name].tobytes() == np.concatenate([trace[name] for trace in expected]).tobytes(), name


@pytest.mark.parametrize("shape", [(333,), (5, 5, 37)])
def test_the_last_bit_of_a_float_sum_does_not_depend_on_the_batch(shape: tuple[int, ...]) -> None:
    random = np.random.default_rng(2)
    dense = len(shape) == 1
    builder = GraphBuilder()
    x = builder.add_input("x", TensorType((1, *shape), FLOAT))
    weight = random.normal(size=(19, *shape) if dense else (19, 3, 3, shape[2])).astype(np.float32)
    w = builder.emit(nn.Constant(Data(weight), FLOAT))
    y = builder.emit(nn.FullyConnected(x, w) if dense else nn.Conv2D(x, w))
    program = ReferenceProgram(Module("m", builder.finish([Output("y", y)])))
    many = random.normal(size=(23, *shape))
    apart = [program.dequantized(one[None])["y"] for one in many]
    assert program.dequantized(many)["y"].tobytes() == np.concatenate(apart).tobytes()


def test_float_and_quantized_paths_agree() -> None:
    """The same convolution over doubles and over exact integers: equal but for the clamp."""
    trace = ReferenceProgram(mixed_network()).trace(images(20))
    expected = np.clip(trace["narrow"], 120, 120 + 60)
    assert np.array_equal(trace["quantized"], expected)


def test_types_of_outputs_and_traces() -> None:
    program = ReferenceProgram(mixed_network())
    outputs, reals, trace = program.run(images(3)), program.dequantized(images(3)), program.trace(images(3))
    assert list(outputs) == list(reals) == ["shares", "mean"]
    assert (outputs["shares"].dtype, outputs["mean"].dtype) == (np.float32, np.uint8)
    assert np.array_equal(outputs["shares"], trace["shares"].astype(np.float32))
    assert np.array_equal(outputs["mean"], trace["mean"])
    assert reals["shares"].tobytes() == trace["shares"].tobytes()
    assert np.array_equal(reals["mean"], 0.1 * (trace["mean"].astype(int) - 120))
    assert list(trace) == [value.name for value in program.module.graph.values()]
    assert trace["wide"].dtype == np.float64
    assert trace["weight"].shape == (4, 3, 3, 3)
    assert np.array_equal(trace["weight"][3], WEIGHT_SCALES[3] * (trace["stored"][3].astype(int) + 5))


def test_float_inputs_keep_their_precision() -> None:
    builder = GraphBuilder()
    x = builder.add_input("x", TensorType((1, 1), FLOAT))
    program = ReferenceProgram(Module("m", builder.finish([Output("y", builder.emit(nn.Clip(x, (0.0, 2.0))))])))
    third = np.array([[1 / 3]])
    assert program.dequantized(third)["y"] == 1 / 3
    assert program.run(third)["y"] == np.float32(1 / 3)


def test_quantized_inputs_take_codes_or_reals() -> None:
    builder = GraphBuilder()
    x = builder.add_input("x", TensorType((1, 3), U8))
    program = ReferenceProgram(Module("m", builder.finish([Output("y", builder.emit(nn.Dequantize(x)))])))
    codes = np.array([[0, 120, 255]], np.uint8)
    reals = 0.1 * (codes.astype(float) - 120)
    assert np.array_equal(program.dequantized(codes)["y"], reals)
    assert np.array_equal(program.dequantized(reals)["y"], reals)
    for wrong in (codes.astype(np.int8), codes.astype(np.int64)):
        with pytest.raises(InputError, match="'x' takes uint8 codes or floating-point values"):
            program.run(wrong)


def test_float_inputs_take_no_integers() -> None:
    with pytest.raises(InputError, match=r"'image' takes floats, found uint8"):
        ReferenceProgram(mixed_network()).run(np.zeros((1, 5, 5, 3), np.uint8))


def test_wrong_shapes_name_the_input() -> None:
    with pytest.raises(InputError, match=r"'image' has shape \[N, 5, 5, 3\], found \[1, 3, 5, 5\]"):
        ReferenceProgram(mixed_network()).run(np.zeros((1, 3, 5, 5)))


def test_a_module_of_the_other_dialect_is_refused() -> None:
    builder = GraphBuilder()
    x = builder.add_input("x", TensorType((1, 3), U8))
    y = builder.emit(int_ops.Clamp(x, 0, 5), Location.of("layer 7"))
    with pytest.raises(InputError, match=r"layer 7: int\.clamp"):
        ReferenceProgram(Module("m", builder.finish([Output("y", y)])))


def test_weights_that_are_computed() -> None:
    """A weight that depends on an input is prepared in the run, to the same effect."""
    random = np.random.default_rng(3)
    weight = random.integers(-128, 128, (2, 4)).astype(np.int8)
    rows = random.integers(0, 256, (1, 4)).astype(np.uint8)
    element = Element.per_tensor(DType.I8, 0.03, 4)
    results = []
    for fixed in (True, False):
        builder = GraphBuilder()
        x = builder.add_input("x", TensorType((1, 4), U8))
        w = (
            builder.emit(nn.Constant(Data(weight), element))
            if fixed
            else builder.add_input("w", TensorType((2, 4), element))
        )
        y = builder.emit(nn.FullyConnected(x, w, element=Element.per_tensor(DType.I16, 0.01)))
        inputs = {"x": rows} if fixed else {"x": rows, "w": weight}
        results.append(ReferenceProgram(Module("m", builder.finish([Output("y", y)]))).run(inputs)["y"])
    assert np.array_equal(*results)


def test_sums_beyond_64_bits_are_doubles() -> None:
    """Plain 32-bit operands are no layer of a real model, but they have a meaning."""
    builder = GraphBuilder()
    plain = Element(DType.I32)
    x = builder.add_input("x", TensorType((1, 4), plain))
    w = builder.emit(nn.Constant(Data(np.full((1, 4), -(2**31), np.int32)), plain))
    program = ReferenceProgram(Module("m", builder.finish([Output("y", builder.emit(nn.FullyConnected(x, w)))])))
    assert program.dequantized(np.full((1, 4), -(2**31), np.int32))["y"] == 2.0**64


@given(windows(), st.sampled_from(((1, 3, 2), (2, 2, 2), (3, 1, 1))), st.integers(-12, 0), SEEDS)
def test_powers_of_two_mean_the_integer_ops(
    case: tuple[Window, int, int], channels: tuple[int, int, int], exponent: int, seed: int
) -> None:
    """With symmetric power-of-two scales, the real layer and the shifting integer layer are the same, bit for bit."""
    (window, height, width), (groups, depth, outputs) = case, channels
    random = np.random.default_rng(seed)
    weight = random.integers(-128, 128, (groups * outputs, *window.kernel, depth)).astype(np.int8)
    bias = random.integers(-(1 << 10), 1 << 10, groups * outputs).astype(np.int32)
    codes = random.integers(-128, 128, (2, height, width, groups * depth)).astype(np.int8)
    images = Element.per_tensor(DType.I8, 2.0**-3)
    weights = Element.per_tensor(DType.I8, 2.0 ** (exponent + 1))
    biases = Element.per_tensor(DType.I32, 2.0 ** (exponent - 2))
    result = Element.per_tensor(DType.I8, 2.0**-2)
    requantize = int_ops.Requantize((1,), (-exponent,), Rounding.HALF_EVEN, 0, 0, 24)
    found = []
    for real in (True, False):
        builder = GraphBuilder()
        x = builder.add_input("x", TensorType((2, height, width, groups * depth), images))
        constant = nn.Constant if real else int_ops.Constant
        w, b = (builder.emit(constant(Data(a), e)) for a, e in ((weight, weights), (bias, biases)))
        geometry = (window.strides, window.padding, window.dilations, groups)
        if real:
            y = builder.emit(nn.Conv2D(x, w, b, *geometry, clamp=(0.0, 6.0), element=result))
        else:
            y = builder.emit(int_ops.Conv2D(x, w, b, *geometry, requantize=requantize, element=result))
        module = Module("m", builder.finish([Output("y", y)]))
        found.append((ReferenceProgram if real else Program)(module).run({"x": codes})["y"])
    assert np.array_equal(*found)


@given(module=nn_modules(), batches=st.integers(1, 4), slice_bytes=st.sampled_from([1, 1 << 30]))
def test_a_walk_passes_every_value_of_the_trace(module: Module, batches: int, slice_bytes: int) -> None:
    inputs = random_inputs(module, batches)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(interpreter, "SLICE_BYTES", slice_bytes)
        program = ReferenceProgram(module)
        seen: dict[str, list[np.ndarray]] = {}
        for value, array in program.walk(inputs):
            seen.setdefault(value.name, []).append(np.atleast_1d(array).copy())
    trace = program.trace(inputs)
    moving = [value.name for value in module.graph.values() if value not in program.known]
    assert list(seen) == moving
    for name in moving:
        assert np.concatenate(seen[name]).tobytes() == trace[name].tobytes(), name


def test_a_walk_holds_no_value_after_its_last_use() -> None:
    program = ReferenceProgram(mixed_network())
    alive: dict[str, weakref.ref[np.ndarray]] = {}
    most = 0
    for value, array in program.walk(images(3)):
        alive[value.name] = weakref.ref(array)
        del array
        most = max(most, sum(reference() is not None for reference in alive.values()))
    # "codes" waits for "quantized"; one more is made, and one the generator has just handed out.
    assert most <= 5 < len(alive)


@given(module=nn_modules())
def test_the_kernel_of_a_statement_does_what_the_program_does(module: Module) -> None:
    inputs = random_inputs(module, 1)
    program = ReferenceProgram(module)
    trace = program.trace(inputs)
    for statement in module.graph.statements:
        kernel = kernel_of(statement, program.known)
        found = kernel(*(trace[operand.name] for operand in statement.op.operands))
        assert found.tobytes() == trace[statement.result.name].tobytes(), statement.result


def test_the_kernel_of_a_foreign_statement_is_refused() -> None:
    builder = GraphBuilder()
    x = builder.add_input("x", TensorType((1, 4), Element.per_tensor(DType.I8, 0.5)))
    builder.emit(int_ops.Clamp(x, 0, 5), location=Location(("layer7",)))
    (statement,) = builder.finish([]).statements
    with pytest.raises(InputError, match=r"layer7: int\.clamp has no meaning over the reals"):
        kernel_of(statement, {})
