"""Running whole int.* modules: batches, slices, outputs, traces and refusals."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from integer_modules import SEEDS, codes, constant, element, module_of
from integer_oracle import simulate

from mrqc.backends import interpreter
from mrqc.backends.simulator import Program
from mrqc.errors import InputError
from mrqc.ir import DType, Element, GraphBuilder, Location, Module, Output, Quantization, TensorType, verify
from mrqc.numerics import Rounding
from mrqc.ops import int as ops
from mrqc.ops import nn

I8 = element(DType.I8)


def shift_by(shift: int) -> ops.Requantize:
    return ops.Requantize((1,), (shift,), Rounding.HALF_UP, 0, -128, 127)


def residual_network(batch: int = 1, seed: int = 0) -> Module:
    """A convolution, a depthwise one, a residual addition, pools, a reshape and a classifier; two outputs."""
    random = np.random.default_rng(seed)
    builder = GraphBuilder()
    x = builder.add_input("image", TensorType((batch, 6, 6, 3), Element.per_tensor(DType.I8, 0.25, -3)))

    def weights(*shape: int):
        return constant(builder, random.integers(-128, 128, shape).astype(np.int8))

    wide = builder.emit(
        ops.Conv2D(x, weights(4, 3, 3, 3), padding=(1, 1, 1, 1), requantize=shift_by(9), element=I8), name="wide"
    )
    deep = builder.emit(
        ops.Conv2D(wide, weights(4, 3, 3, 1), padding=(1, 1, 1, 1), groups=4, requantize=shift_by(8), element=I8),
        name="deep",
    )
    total = builder.emit(ops.Add(wide, deep, 1, 1, shift_by(1), I8), name="total")
    largest = builder.emit(ops.MaxPool2D(total, (2, 2), (2, 2), (0, 0, 0, 0)), name="largest")
    mean = builder.emit(ops.AveragePool2D(largest, (3, 3), (1, 1), (0, 0, 0, 0), shift_by(3), I8), name="mean")
    flat = builder.emit(ops.Reshape(mean, (batch, 4)), name="flat")
    bias = constant(builder, random.integers(-999, 999, 5).astype(np.int32))
    logits = builder.emit(
        ops.FullyConnected(flat, weights(5, 4), bias, requantize=shift_by(7), element=I8), name="logits"
    )
    module = Module("residual", builder.finish([Output("scores", logits), Output("features", mean)]))
    assert verify(module) == []
    return module


@settings(max_examples=20)
@given(SEEDS, st.integers(1, 2), st.integers(1, 3))
def test_every_value_of_a_network_is_exact(seed: int, batch: int, batches: int) -> None:
    module = residual_network(batch, seed)
    images = codes((batch * batches, 6, 6, 3), DType.I8, seed)
    expected = simulate(module, {"image": images})
    program = Program(module)
    trace = program.trace(images)
    assert list(trace) == [value.name for value in module.graph.values()]
    for name, array in expected.items():
        assert trace[name].dtype == array.dtype
        assert np.array_equal(trace[name], array), name
    outputs = program.run({"image": images})
    assert list(outputs) == ["scores", "features"]
    assert np.array_equal(outputs["scores"], expected["logits"])
    assert np.array_equal(outputs["features"], expected["mean"])


@pytest.mark.parametrize("slice_bytes", [1, 1000, 2000, 1 << 30])
def test_slices_have_no_influence(slice_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    module = residual_network(batch=2)
    images = codes((14, 6, 6, 3), DType.I8, seed=3)
    expected = simulate(module, {"image": images})
    monkeypatch.setattr(interpreter, "SLICE_BYTES", slice_bytes)
    program = Program(module)
    assert np.array_equal(program({"image": images})["scores"], expected["logits"])
    assert np.array_equal(program.trace({"image": images})["deep"], expected["deep"])


def test_memory_does_not_grow_with_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interpreter, "SLICE_BYTES", 1 << 18)
    program = Program(residual_network())
    images = codes((20000, 6, 6, 3), DType.I8, seed=4)
    peaks: list[int] = []
    for count in (5000, 20000):
        tracemalloc.start()
        program(images[:count])
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # Nine codes for each image, held once in slices and once put together.
    assert peaks[1] - peaks[0] < 2.5 * 9 * 15000


def test_one_array_in_one_array_out() -> None:
    module = module_of([TensorType((1, 4), I8)], lambda x: ops.Clamp(x, -5, 5))
    images = codes((2, 4), DType.I8, seed=1)
    program = Program(module)
    found = program(images)
    assert isinstance(found, np.ndarray)
    assert np.array_equal(found, np.clip(images, -5, 5))
    named = program({"x0": images})
    assert isinstance(named, dict)
    assert np.array_equal(named["y"], found)
    assert isinstance(Program(residual_network())(codes((1, 6, 6, 3), DType.I8, seed=1)), dict)


def test_real_values_are_quantized_by_the_input() -> None:
    module = residual_network()
    reals = np.random.default_rng(5).normal(0, 12, (3, 6, 6, 3))
    expected = np.clip(np.rint(reals / 0.25) - 3, -128, 127).astype(np.int8)
    program = Program(module)
    for array in (reals, reals.astype(np.float32)):
        assert np.array_equal(program.trace(array)["image"], np.clip(np.rint(array / 0.25) - 3, -128, 127))
    assert np.array_equal(program.run(reals)["scores"], program.run(expected)["scores"])


def test_real_values_per_channel() -> None:
    builder = GraphBuilder()
    two_scales = Element(DType.I8, Quantization.per_axis((0.5, 2.0), (0, 0), axis=1))
    x = builder.add_input("x", TensorType((1, 2), two_scales))
    program = Program(Module("m", builder.finish([Output("y", x)])))
    assert program(np.array([[1.0, 1.0], [3.0, 3.0]])).tolist() == [[2, 0], [6, 2]]


def test_real_values_with_scales_along_the_batch() -> None:
    builder = GraphBuilder()
    two_scales = Element(DType.I8, Quantization.per_axis((0.5, 2.0), (0, 1), axis=0))
    x = builder.add_input("x", TensorType((2, 1), two_scales))
    program = Program(Module("m", builder.finish([Output("y", x)])))
    assert program(np.array([[1.0], [4.0], [3.0], [8.0]])).tolist() == [[2], [3], [6], [5]]


def test_infinite_values_saturate() -> None:
    module = module_of([TensorType((1, 2), I8)], lambda x: ops.Clamp(x, -128, 127))
    assert Program(module)(np.array([[np.inf, -np.inf]])).tolist() == [[127, -128]]


def test_results_are_the_callers_own() -> None:
    """An output that is an input, a reshaped input or a constant must not be a view of anything."""
    builder = GraphBuilder()
    x = builder.add_input("x", TensorType((1, 4), I8))
    flat = builder.emit(ops.Reshape(x, (1, 2, 2)))
    stored = constant(builder, np.arange(3, dtype=np.int8))
    outputs = [Output("same", x), Output("flat", flat), Output("stored", stored), Output("again", x)]
    program = Program(Module("m", builder.finish(outputs)))
    images = np.arange(4, dtype=np.int8)[None]
    for found in (program.run({"x": images}), program.trace({"x": images})):
        for array in found.values():
            assert array.flags.writeable
            assert not np.shares_memory(array, images)
            array += 1
    assert program.run({"x": images})["stored"].tolist() == [0, 1, 2]
    assert images.tolist() == [[0, 1, 2, 3]]
    two = program.run({"x": np.concatenate([images, images])})
    assert two["stored"].tolist() == [0, 1, 2, 0, 1, 2]
    assert two["flat"].shape == (2, 2, 2)


def test_constants_are_folded_before_the_run() -> None:
    builder = GraphBuilder()
    x = builder.add_input("x", TensorType((1, 6), I8))
    stored = constant(builder, np.arange(-6, 6, dtype=np.int8).reshape(6, 2))
    weight = builder.emit(ops.Transpose(stored, (1, 0)), name="weight")
    y = builder.emit(ops.FullyConnected(x, weight, requantize=shift_by(4), element=I8), name="y")
    module = Module("m", builder.finish([Output("y", y)]))
    images = codes((5, 6), DType.I8, seed=2)
    expected = simulate(module, {"x": images})
    found = Program(module).trace(images)
    assert np.array_equal(found["weight"], expected["weight"])
    assert np.array_equal(found["y"], expected["y"])


@pytest.mark.parametrize("batches", [1, 3])
def test_weights_that_are_an_input(batches: int) -> None:
    module = module_of(
        [TensorType((2, 6), I8), TensorType((3, 6), I8)],
        lambda x, w: ops.FullyConnected(x, w, requantize=shift_by(6), element=I8),
    )
    rows, weights = codes((2 * batches, 6), DType.I8, seed=1), codes((3 * batches, 6), DType.I8, seed=2)
    expected = [
        simulate(module, {"x0": rows[2 * n : 2 * n + 2], "x1": weights[3 * n : 3 * n + 3]})["y"] for n in range(batches)
    ]
    found = Program(module)({"x0": rows, "x1": weights})
    assert np.array_equal(found["y"], np.concatenate(expected))


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda x: ops.Transpose(x, (1, 0, 2)), (2, 3, 4)),
        (lambda x: ops.Reshape(x, (4, 6)), (2, 3, 4)),
        (lambda x: ops.Reshape(x, ()), (1,)),
    ],
)
def test_ops_across_the_images_see_one_batch_at_a_time(make, shape: tuple[int, ...]) -> None:
    module = module_of([TensorType(shape, I8)], make)
    images = codes((3 * shape[0], *shape[1:]), DType.I8, seed=1)
    expected = [
        np.atleast_1d(simulate(module, {"x0": images[first : first + shape[0]]})["y"])
        for first in range(0, len(images), shape[0])
    ]
    assert np.array_equal(Program(module)(images), np.concatenate(expected))


def test_scalars() -> None:
    module = module_of([TensorType((), I8)], lambda x: ops.Clamp(x, -5, 5))
    assert Program(module)(np.int8(9)).tolist() == 5


def two_inputs() -> Module:
    return module_of(
        [TensorType((2, 3), I8), TensorType((2, 3), element(DType.U8))],
        lambda x, y: ops.Add(x, y, 1, 1, shift_by(1), I8),
    )


@pytest.mark.parametrize(
    ("inputs", "sentences"),
    [
        ({"x0": np.zeros((2, 3), np.int8)}, ["input 'x1' is missing"]),
        (
            {"x0": np.zeros((2, 3), np.int8), "x1": np.zeros((2, 3), np.uint8), "z": np.zeros(1)},
            ["there is no input 'z'"],
        ),
        (
            {"x0": np.zeros((2, 4), np.int8), "x1": np.zeros((3, 3), np.uint8)},
            ["'x0' has shape [N*2, 3], found [2, 4]", "'x1' has shape [N*2, 3], found [3, 3]"],
        ),
        (
            {"x0": np.zeros((0, 3), np.int8), "x1": np.zeros((6,), np.uint8)},
            ["'x0' has shape [N*2, 3], found [0, 3]", "'x1' has shape [N*2, 3], found [6]"],
        ),
        (
            {"x0": np.zeros((2, 3), np.uint8), "x1": np.zeros((2, 3), np.int64)},
            ["'x0' takes int8 codes or floating-point values, found uint8", "'x1' takes uint8 codes"],
        ),
        (
            {"x0": np.full((2, 3), np.nan), "x1": np.zeros((2, 3), np.uint8)},
            ["'x0' holds values that are not a number"],
        ),
        (
            {"x0": np.zeros((4, 3), np.int8), "x1": np.zeros((2, 3), np.uint8)},
            ["same number of batches", "'x0' holds 2", "'x1' holds 1"],
        ),
        (np.zeros((2, 3), np.int8), ["one array was given for the inputs 'x0', 'x1'"]),
    ],
)
def test_wrong_inputs_are_all_named(inputs, sentences: list[str]) -> None:
    with pytest.raises(InputError) as error:
        Program(two_inputs()).run(inputs)
    assert "module 'one_op'" in str(error.value)
    for sentence in sentences:
        assert sentence in str(error.value)


def test_a_module_of_the_other_dialect_is_refused() -> None:
    builder = GraphBuilder()
    x = builder.add_input("x", TensorType((1, 3), Element.per_tensor(DType.I8, 0.5)))
    builder.emit(nn.Clip(x, (0.0, 6.0), I8), Location.of("relu6"))
    y = builder.emit(nn.Clip(x, (0.0, 1.0), I8), Location.of("relu1"))
    with pytest.raises(InputError, match="cannot be simulated") as error:
        Program(Module("m", builder.finish([Output("y", y)])))
    assert [diagnostic.location for diagnostic in error.value.diagnostics] == ["relu6", "relu1"]


def test_products_beyond_64_bits_are_refused() -> None:
    requantize = ops.Requantize(((1 << 31) - 1,), (62,), Rounding.HALF_UP, 0, -128, 127)
    module = module_of(
        [TensorType((1, 3), element(DType.I16)), TensorType((1, 3), element(DType.I16))],
        lambda x, y: ops.Add(x, y, 1 << 21, 1 << 21, requantize, I8),
    )
    with pytest.raises(InputError, match="does not fit 64 bits"):
        Program(module)


@pytest.mark.parametrize("table", [np.zeros(256, np.int32), np.arange(255, -1, -1, np.int32) - 1])
def test_softmax_tables_that_could_divide_by_zero_are_refused(table: np.ndarray) -> None:
    module = module_of([TensorType((1, 3), I8)], lambda x, t: ops.Softmax(x, t, 256, -128, -128, 127, I8), [table])
    with pytest.raises(InputError, match="table must start above zero"):
        Program(module)
