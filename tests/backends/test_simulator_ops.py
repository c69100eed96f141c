"""Each int.* op of the simulator against Python integers and loops."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from integer_modules import (
    ACTIVATIONS,
    SEEDS,
    codes,
    element,
    geometry,
    module_of,
    random_inputs,
    requantizations,
    windows,
)
from integer_oracle import simulate

from mrqc.backends.simulator import Program
from mrqc.ir import DType, Element, Module, Op, TensorType
from mrqc.numerics import Rounding
from mrqc.ops import int as ops
from mrqc.ops.window import Window
from mrqc.testing import op_modules


def assert_exact(module: Module, seed: int, batches: int = 1) -> None:
    inputs = random_inputs(module, seed, batches)
    expected = simulate(module, inputs)
    found = Program(module).trace(inputs)
    assert found.keys() == expected.keys()
    for name in expected:
        assert found[name].dtype == expected[name].dtype
        assert np.array_equal(found[name], expected[name]), name


CHANNELS = st.sampled_from(((1, 1, 1), (1, 3, 2), (2, 2, 2), (3, 1, 1), (3, 1, 2), (2, 2, 1)))
"""Groups, input channels of a group, output channels of a group."""


@given(st.data(), windows(), CHANNELS, ACTIVATIONS, ACTIVATIONS, SEEDS)
def test_conv2d(
    data: st.DataObject,
    case: tuple[Window, int, int],
    channels: tuple[int, int, int],
    dtype: DType,
    result: DType,
    seed: int,
) -> None:
    (window, height, width), (groups, depth, outputs) = case, channels
    outputs *= groups
    batch = data.draw(st.integers(1, 2))
    weight = codes((outputs, *window.kernel, depth), DType.I8, seed + 100)
    bias = np.random.default_rng(seed).integers(-(1 << 20), 1 << 20, outputs).astype(np.int32)
    requantize = data.draw(requantizations(result, outputs))
    module = module_of(
        [TensorType((batch, height, width, groups * depth), element(dtype))],
        lambda x, w, b: ops.Conv2D(
            x,
            w,
            b,
            **geometry(window),
            dilations=window.dilations,
            groups=groups,
            requantize=requantize,
            element=element(result),
        ),
        [weight, data.draw(st.sampled_from((None, bias)))],
    )
    assert_exact(module, seed, batches=data.draw(st.integers(1, 2)))


@given(st.data(), st.integers(1, 40), st.integers(1, 5), ACTIVATIONS, ACTIVATIONS, SEEDS)
def test_fully_connected(data: st.DataObject, depth: int, outputs: int, dtype: DType, result: DType, seed: int) -> None:
    weight = codes((outputs, depth), DType.I8, seed + 100)
    bias = np.random.default_rng(seed).integers(-(1 << 20), 1 << 20, outputs).astype(np.int32)
    requantize = data.draw(requantizations(result, outputs))
    module = module_of(
        [TensorType((2, depth), element(dtype))],
        lambda x, w, b: ops.FullyConnected(x, w, b, requantize=requantize, element=element(result)),
        [weight, data.draw(st.sampled_from((None, bias)))],
    )
    assert_exact(module, seed, batches=data.draw(st.integers(1, 3)))


@pytest.mark.parametrize(
    ("depth", "dtype"),
    [((1 << 10) - 1, DType.I8), (1 << 10, DType.I8), ((1 << 17) - 1, DType.I8), ((1 << 9) - 1, DType.I16)],
)
def test_long_sums_keep_their_last_bit(depth: int, dtype: DType) -> None:
    """Sums of up to 2**24 - 1, of 2**24, and of nearly 2**31, all of whose bits come out."""
    weight = np.full((2, depth), -128, np.int8)
    weight[1, ::3] = 127
    requantize = ops.Requantize((1,), (0,), Rounding.FLOOR, 0, DType.I32.minimum, DType.I32.maximum)
    module = module_of(
        [TensorType((1, depth), element(dtype))],
        lambda x, w, b: ops.FullyConnected(x, w, b, requantize=requantize, element=element(DType.I32)),
        [weight, np.array([depth % 7 + 1, -1], np.int32)],
    )
    rows = np.full((3, depth), dtype.minimum, dtype.numpy)
    rows[1, : depth // 2] = dtype.maximum
    rows[2, 0] += 1
    expected = weight.astype(object) @ rows.T.astype(object)
    expected = expected.T + np.array([depth % 7 + 1, -1])
    assert Program(module)(rows).tolist() == expected.tolist()


@given(st.data(), windows(pool=True), ACTIVATIONS, ACTIVATIONS, SEEDS)
def test_average_pool2d(
    data: st.DataObject, case: tuple[Window, int, int], dtype: DType, result: DType, seed: int
) -> None:
    window, height, width = case
    requantize = data.draw(requantizations(result, reach_bits=12))
    module = module_of(
        [TensorType((2, height, width, 2), element(dtype))],
        lambda x: ops.AveragePool2D(x, window.kernel, window.strides, window.padding, requantize, element(result)),
    )
    assert_exact(module, seed, batches=data.draw(st.integers(1, 2)))


@given(windows(pool=True), ACTIVATIONS, SEEDS, st.integers(1, 2))
def test_max_pool2d(case: tuple[Window, int, int], dtype: DType, seed: int, batches: int) -> None:
    window, height, width = case
    module = module_of(
        [TensorType((2, height, width, 2), element(dtype))],
        lambda x: ops.MaxPool2D(x, window.kernel, window.strides, window.padding),
    )
    assert_exact(module, seed, batches)


@given(st.data(), windows(pool=True), ACTIVATIONS, SEEDS, st.integers(1, 2))
def test_mean_pool2d(data: st.DataObject, case: tuple[Window, int, int], dtype: DType, seed: int, batches: int) -> None:
    window, height, width = case
    low, high = sorted(data.draw(st.integers(dtype.minimum, dtype.maximum)) for _ in range(2))
    module = module_of(
        [TensorType((2, height, width, 2), element(dtype))],
        lambda x: ops.MeanPool2D(x, window.kernel, window.strides, window.padding, low, high, element(dtype)),
    )
    assert_exact(module, seed, batches)


AXES = st.sets(st.integers(0, 3), min_size=1).map(lambda axes: tuple(sorted(axes)))


@given(st.data(), AXES, st.booleans(), ACTIVATIONS, ACTIVATIONS, SEEDS)
def test_sum(
    data: st.DataObject, axes: tuple[int, ...], keep_dims: bool, dtype: DType, result: DType, seed: int
) -> None:
    requantize = data.draw(requantizations(result, reach_bits=12))
    zero_point = data.draw(st.integers(dtype.minimum, dtype.maximum))
    module = module_of(
        [TensorType((2, 3, 1, 4), element(dtype))],
        lambda x: ops.Sum(x, axes, keep_dims, zero_point, requantize, element(result)),
    )
    assert_exact(module, seed)


@pytest.mark.parametrize("op", [ops.Pad, ops.Slice, ops.Take, ops.Concat, ops.ArgMax, ops.ResizeBilinear])
@given(data=st.data(), seed=SEEDS, batches=st.integers(1, 2))
def test_moves_searches_and_resizes(op: type[Op], data: st.DataObject, seed: int, batches: int) -> None:
    assert_exact(data.draw(op_modules(op)), seed, batches)


MULTIPLIERS = st.one_of(st.integers(1, 5), st.integers(1, (1 << 22) - 1), st.just((1 << 22) - 1))


@given(st.data(), ACTIVATIONS, ACTIVATIONS, ACTIVATIONS, MULTIPLIERS, MULTIPLIERS, SEEDS)
def test_add(
    data: st.DataObject, lhs: DType, rhs: DType, result: DType, lhs_multiplier: int, rhs_multiplier: int, seed: int
) -> None:
    # A sum of two 16-bit codes has up to 39 bits; with the widest multiplier the product would not fit 64.
    requantize = data.draw(requantizations(result, reach_bits=30).filter(lambda found: max(found.multiplier) < 1 << 24))
    module = module_of(
        [TensorType((2, 3), element(lhs)), TensorType((2, 3), element(rhs))],
        lambda x, y: ops.Add(x, y, lhs_multiplier, rhs_multiplier, requantize, element(result)),
    )
    assert_exact(module, seed, batches=data.draw(st.integers(1, 3)))


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("constant_first", [True, False])
def test_add_of_a_constant_to_many_batches(batch: int, constant_first: bool) -> None:
    requantize = ops.Requantize((1,), (1,), Rounding.HALF_UP, 0, -128, 127)

    def make(x, constant):
        operands = (constant, x) if constant_first else (x, constant)
        return ops.Add(*operands, 1, 3, requantize, element(DType.I8))

    module = module_of([TensorType((batch, 5), element(DType.I8))], make, [codes((batch, 5), DType.I8, seed=9)])
    images = codes((3 * batch, 5), DType.I8, seed=10)
    expected = [simulate(module, {"x0": images[first : first + batch]})["y"] for first in range(0, 3 * batch, batch)]
    assert np.array_equal(Program(module)(images), np.concatenate(expected))


@given(st.data(), ACTIVATIONS, ACTIVATIONS, SEEDS)
def test_rescale(data: st.DataObject, dtype: DType, result: DType, seed: int) -> None:
    requantize = data.draw(requantizations(result, reach_bits=10))
    zero_point = data.draw(st.integers(dtype.minimum, dtype.maximum))
    module = module_of(
        [TensorType((3, 4), element(dtype))],
        lambda x: ops.Rescale(x, zero_point, requantize, element(result)),
    )
    assert_exact(module, seed)


@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize(("dtype", "result"), [(DType.U8, DType.I8), (DType.I8, DType.U8)])
def test_rescale_of_every_code(dtype: DType, result: DType, rounding: Rounding) -> None:
    requantize = ops.Requantize((181,), (8,), rounding, result.minimum + 100, result.minimum, result.maximum)
    module = module_of(
        [TensorType((256,), element(dtype))],
        lambda x: ops.Rescale(x, dtype.minimum + 77, requantize, element(result)),
    )
    every_code = np.arange(dtype.minimum, dtype.maximum + 1).astype(dtype.numpy)
    assert np.array_equal(Program(module)(every_code), simulate(module, {"x0": every_code})["y"])


@given(st.data(), ACTIVATIONS, SEEDS)
def test_clamp(data: st.DataObject, dtype: DType, seed: int) -> None:
    limits = st.integers(dtype.minimum, dtype.maximum)
    low, high = sorted((data.draw(limits), data.draw(limits)))
    module = module_of([TensorType((3, 4), element(dtype))], lambda x: ops.Clamp(x, low, high))
    assert_exact(module, seed)


@given(
    st.data(),
    st.sampled_from((DType.I8, DType.U8)),
    ACTIVATIONS,
    st.floats(0.001, 1),
    st.integers(1, 300),
    st.sampled_from((1, 255, 256, 1 << 16)),
    SEEDS,
)
def test_softmax(
    data: st.DataObject, dtype: DType, result: DType, scale: float, classes: int, one: int, seed: int
) -> None:
    table = np.array([round(2**15 * math.exp(-scale * distance)) for distance in range(256)], np.int32)
    zero_point = data.draw(st.integers(result.minimum, result.maximum))
    module = module_of(
        [TensorType((2, classes), element(dtype))],
        lambda x, t: ops.Softmax(x, t, one, zero_point, result.minimum, result.maximum, element(result)),
        [table],
    )
    assert_exact(module, seed, batches=data.draw(st.integers(1, 2)))


@given(st.permutations(range(4)), SEEDS)
def test_transpose(permutation: list[int], seed: int) -> None:
    module = module_of([TensorType((2, 3, 4, 5), element(DType.I8))], lambda x: ops.Transpose(x, tuple(permutation)))
    inputs = random_inputs(module, seed)
    found = Program(module)(inputs)["y"]
    assert np.array_equal(found, simulate(module, inputs)["y"])
    assert found.flags.c_contiguous


@pytest.mark.parametrize("shape", [(2, 12), (24,), (6, 4), (1, 24), (2, 3, 2, 2)])
def test_reshape(shape: tuple[int, ...]) -> None:
    module = module_of([TensorType((2, 3, 4), element(DType.I8))], lambda x: ops.Reshape(x, shape))
    assert_exact(module, seed=1)


@pytest.mark.parametrize("dtype", [DType.I8, DType.U8, DType.I16])
def test_padding_adds_nothing_whatever_the_zero_point_of_the_type(dtype: DType) -> None:
    """A quantization says what codes mean to the host and has no influence on the arithmetic."""
    requantize = ops.Requantize((1,), (0,), Rounding.HALF_UP, 0, -128, 127)
    images = TensorType((1, 1, 1, 1), Element.per_tensor(dtype, 0.5, 100))
    module = module_of(
        [images],
        lambda x, w: ops.Conv2D(x, w, padding=(1, 1, 1, 1), requantize=requantize, element=element(DType.I8)),
        [np.ones((1, 3, 3, 1), np.int8)],
    )
    assert Program(module)(np.full((1, 1, 1, 1), 5, dtype.numpy)).tolist() == [[[[5]]]]
    pool = module_of(
        [images], lambda x: ops.AveragePool2D(x, (2, 2), (1, 1), (1, 1, 1, 1), requantize, element(DType.I8))
    )
    assert Program(pool)(np.full((1, 1, 1, 1), 5, dtype.numpy)).tolist() == [[[[5], [5]], [[5], [5]]]]
