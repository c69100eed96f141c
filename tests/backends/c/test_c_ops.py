"""Each int.* op in compiled C against Python integers and the simulator."""

import itertools
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from compiled_cases import assert_bits
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from integer_modules import codes, module_of

from mrqc.ir import Data, DType, Element, GraphBuilder, Module, Op, Output, TensorType, Value
from mrqc.numerics import Rounding
from mrqc.ops import int as ops
from mrqc.ops.int import INT_OPS, Requantize
from mrqc.testing import Limits, int_modules, op_modules

I8, U8, I16, I32 = DType.I8, DType.U8, DType.I16, DType.I32
TYPES = ((I8, I8), (U8, I8), (I8, U8), (I16, I16), (I16, I32), (U8, U8), (I8, I16))
MULTIPLIERS = (1, 3, (1 << 30) + 12345, (1 << 31) - 1)

# Shrinking would start a compiler hundreds of times; a case is small enough to read as it is.
COMPILED = settings(
    max_examples=1,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=list(HealthCheck),
    deadline=None,
)


def requantize(
    dtype: DType,
    shift: int | tuple[int, ...],
    multiplier: int | tuple[int, ...] = 1,
    rounding: Rounding = Rounding.HALF_UP,
) -> Requantize:
    """Return a requantization with a zero point and a clamp that cuts a little off the range."""
    shifts = shift if isinstance(shift, tuple) else (shift,)
    multipliers = multiplier if isinstance(multiplier, tuple) else (multiplier,)
    zero_point = 3 if dtype.minimum == 0 else -2
    return Requantize(multipliers, shifts, rounding, zero_point, dtype.minimum + 1, dtype.maximum - 1)


def element(dtype: DType) -> Element:
    return Element.per_tensor(dtype, 0.5)


def conv2d(
    shape: tuple[int, int, int, int],
    weight: tuple[int, int, int, int],
    types: tuple[DType, DType] = (I8, I8),
    *,
    bias: bool = True,
    strides: tuple[int, int] = (1, 1),
    padding: tuple[int, int, int, int] = (0, 0, 0, 0),
    dilations: tuple[int, int] = (1, 1),
    groups: int = 1,
    scales: Requantize | None = None,
) -> Module:
    seed = sum(shape) * 31 + sum(weight)
    biases = np.random.default_rng(seed).integers(-(1 << 18), 1 << 18, weight[0]).astype(np.int32)
    source, result = types
    shift = max(0, int(np.log2(weight[1] * weight[2] * weight[3])) // 2 + 7 - (result.bytes - 1) * 8)
    return module_of(
        [TensorType(shape, element(source))],
        lambda x, w, b: ops.Conv2D(
            x,
            w,
            b,
            strides=strides,
            padding=padding,
            dilations=dilations,
            groups=groups,
            requantize=scales or requantize(result, shift),
            element=element(result),
        ),
        [codes(weight, I8, seed), biases if bias else None],
    )


def fully_connected(rows: int, depth: int, outputs: int, types: tuple[DType, DType], scales: Requantize) -> Module:
    weights = codes((outputs, depth), I8, depth)
    bias = np.random.default_rng(depth).integers(-(1 << 18), 1 << 18, outputs).astype(np.int32)
    return module_of(
        [TensorType((rows, depth), element(types[0]))],
        lambda x, w, b: ops.FullyConnected(x, w, b, requantize=scales, element=element(types[1])),
        [weights, bias],
    )


def test_depthwise_convolutions() -> None:
    geometries = (
        {"padding": (1, 1, 1, 1)},
        {"strides": (2, 2), "padding": (0, 0, 1, 1)},
        {"dilations": (2, 1), "padding": (2, 0, 1, 3)},
        {"strides": (3, 1), "padding": (5, 2, 0, 4)},
    )
    modules = [
        conv2d((1, 5, 4, channels), (channels, 3, 3, 1), types, groups=channels, bias=channels != 33, **geometry)
        for (channels, types), geometry in zip(
            itertools.product((2, 32, 33), TYPES), itertools.cycle(geometries), strict=False
        )
    ]
    assert_bits(modules, sanitize=True, batches=1)


def test_general_convolutions() -> None:
    modules = [
        conv2d((1, 5, 6, 8), (5, 3, 3, 8), types, padding=(1, 1, 1, 1), bias=index % 2 == 0)
        for index, types in enumerate(TYPES)
    ]
    modules += [
        conv2d((2, 4, 5, 24), (33, 3, 2, 24), strides=(2, 1)),
        conv2d((1, 6, 6, 6), (4, 3, 3, 3), groups=2, padding=(1, 0, 0, 1)),
        conv2d((1, 4, 4, 6), (12, 3, 3, 1), groups=6, padding=(1, 1, 1, 1)),
        conv2d((1, 3, 3, 68), (66, 2, 2, 34), groups=2),
        conv2d((1, 7, 7, 30), (2, 3, 3, 30), dilations=(2, 3), padding=(1, 4, 2, 2)),
        conv2d((1, 5, 5, 40), (3, 1, 1, 40), strides=(2, 2)),
        conv2d((1, 2, 3, 90), (3, 1, 3, 90), padding=(0, 3, 0, 3)),
        conv2d((1, 3, 3, 4), (3, 2, 2, 4), padding=(7, 0, 9, 5)),
    ]
    assert_bits(modules, sanitize=True, batches=1)


def test_shallow_convolutions() -> None:
    modules = [
        conv2d((1, 7, 6, 3), (outputs, 3, 3, 3), types, strides=(2, 2), padding=(0, 1, 1, 0))
        for outputs, types in zip((8, 32, 33, 40, 9, 8, 70), TYPES, strict=True)
    ]
    modules.append(conv2d((2, 5, 5, 2), (8, 3, 2, 2), dilations=(1, 2), padding=(2, 3, 0, 1), bias=False))
    assert_bits(modules, sanitize=True, batches=1)


def test_convolutions_that_are_matrix_products() -> None:
    modules = [
        conv2d((2, 3, 2, depth), (outputs, 1, 1, depth), types)
        for depth, outputs, types in zip((3, 16, 255, 256, 257, 5, 40), (33, 5, 4, 3, 2, 64, 1), TYPES, strict=True)
    ]
    modules += [
        conv2d((3, 4, 5, 30), (6, 4, 5, 30)),
        conv2d((1, 1, 1, 20), (6, 1, 1, 20), strides=(2, 3)),
        conv2d((1, 3, 3, 2), (4, 3, 3, 2), strides=(4, 4)),
    ]
    assert_bits(modules, sanitize=True, batches=1)


def per_channel_cases() -> Iterator[Requantize]:
    """Yield requantizations of five channels: by shift and by multiplier, in 32 and 64 bits, for every rounding."""
    for rounding in Rounding:
        yield requantize(I8, (0, 7, 9, 15, 31), 1, rounding)
        yield requantize(I8, (12, 13, 14, 40, 62), 1, rounding)
        yield requantize(I8, (30, 43, 44, 45, 62), (*MULTIPLIERS, 1), rounding)
        yield requantize(I8, 43, (*MULTIPLIERS, 1 << 30), rounding)
        yield requantize(I8, (40, 41, 42, 43, 44), (1 << 31) - 1, rounding)
        yield requantize(I8, (11,) * 5, (1,) * 5, rounding)


def test_requantization_per_channel() -> None:
    modules = [fully_connected(2, 40, 5, (I8, I8), scales) for scales in per_channel_cases()]
    modules += [
        conv2d((1, 3, 3, 40), (40, 3, 3, 1), groups=40, scales=requantize(I8, tuple(range(5, 25)) * 2)),
        conv2d((1, 3, 3, 3), (40, 2, 2, 3), scales=requantize(I8, tuple(range(5, 25)) * 2)),
        conv2d((1, 3, 3, 30), (40, 2, 2, 30), scales=requantize(I8, 40, tuple(range(1 << 28, (1 << 28) + 40)))),
    ]
    assert_bits(modules, sanitize=True, batches=1)


@pytest.mark.parametrize("rounding", Rounding)
def test_rounding_at_the_extremes(rounding: Rounding) -> None:
    """Every shift, with multipliers up to the greatest, on 16-bit differences and sums that fill 31 bits."""
    rows = TensorType((64,), element(I16))
    modules = [
        module_of([rows], lambda x, s=scales, t=target: ops.Rescale(x, -32768, s, element(t)))
        for target, multiplier in itertools.product((I8, I32), MULTIPLIERS)
        for shift in (0, 1, 2, 15, 16, 17, 30, 31, 32, 33, 46, 47, 61, 62)
        if (scales := requantize(target, shift, multiplier, rounding))
    ]
    modules += [
        module_of(
            [rows, rows],
            lambda x, y, s=scales: ops.Add(x, y, (1 << 15) - 1, 1 << 15, s, element(I16)),
        )
        for multiplier, shift in itertools.product((1, (1 << 31) - 1), (0, 1, 16, 30, 31, 47, 62))
        if (scales := requantize(I16, shift, multiplier, rounding))
    ]
    assert_bits(modules, sanitize=True, batches=1)


def test_additions() -> None:
    modules = [
        module_of(
            [TensorType((5, 13), element(lhs)), TensorType((5, 13), element(rhs))],
            lambda x, y, n=shift, t=result: ops.Add(x, y, 5, 1 << 7, requantize(t, n), element(t)),
        )
        for lhs, rhs, (result, shift) in itertools.product(
            (I8, U8, I16), (I8, U8, I16), ((I8, 8), (U8, 9), (I16, 3), (I32, 0))
        )
    ]
    assert_bits(modules, sanitize=True)


def test_additions_that_need_64_bits() -> None:
    """Sixteen-bit codes times 22-bit multipliers reach 2^38, which only 64-bit accumulators hold."""
    rows = TensorType((50,), element(I16))
    greatest = (1 << 22) - 1
    modules = [
        module_of([rows, rows], lambda x, y, s=scales: ops.Add(x, y, greatest, greatest, s, element(I16)))
        for rounding in Rounding
        for scales in (
            requantize(I16, 22, 1, rounding),
            requantize(I16, 46, (1 << 24) - 1, rounding),
            requantize(I16, 62, 1, rounding),
        )
    ]
    assert_bits(modules, sanitize=True)


def test_rescales_and_clamps() -> None:
    shape = (3, 35)
    modules = [
        module_of(
            [TensorType(shape, element(source))],
            lambda x, t=target, m=multiplier, z=zero_point: ops.Rescale(
                x, z, requantize(t, 1 if m == 1 else 31, m), element(t)
            ),
        )
        for source, target, multiplier in itertools.product((I8, U8, I16), (I8, U8, I16, I32), (1, MULTIPLIERS[2]))
        for zero_point in (source.minimum, source.maximum)
    ]
    modules += [
        module_of([TensorType(shape, element(dtype))], lambda x, low=low, high=high: ops.Clamp(x, low, high))
        for dtype in (I8, U8, I16)
        for low, high in ((dtype.minimum, dtype.maximum), (5, 5), (7, 100), (dtype.minimum, 1))
    ]
    assert_bits(modules, sanitize=True)


def test_pools() -> None:
    geometries = (((2, 2), (2, 2), (0, 0, 0, 0)), ((3, 3), (1, 2), (1, 2, 2, 1)), ((5, 6), (1, 1), (0, 0, 0, 0)))
    modules: list[Module] = []
    for (source, result), (kernel, strides, padding), channels in itertools.product(TYPES, geometries, (1, 32, 35)):
        image = TensorType((1, 5, 6, channels), element(source))
        multiplier = 2391163 if channels == 1 else 1
        scales = requantize(result, 24 if channels == 1 else 3, multiplier)
        modules.append(
            module_of(
                [image],
                lambda x, k=kernel, s=strides, p=padding, r=scales, t=result: ops.AveragePool2D(
                    x, k, s, p, r, element(t)
                ),
            )
        )
        modules.append(module_of([image], lambda x, k=kernel, s=strides, p=padding: ops.MaxPool2D(x, k, s, p)))
        if source is result:
            low, high, e = source.minimum + 9, source.maximum - 20, element(source)
            modules.append(
                module_of(
                    [image],
                    lambda x, k=kernel, s=strides, p=padding, low=low, high=high, e=e: ops.MeanPool2D(
                        x, k, s, p, low, high, e
                    ),
                )
            )
    assert_bits(modules, sanitize=True, batches=1, oracle=False)
    assert_bits(modules[::5], batches=1)


def sum_module(
    shape: tuple[int, ...], axes: tuple[int, ...], source: DType, scales: Requantize, result: DType
) -> Module:
    return module_of([TensorType(shape, element(source))], lambda x: ops.Sum(x, axes, True, 2, scales, element(result)))


def test_sums_along_axes() -> None:
    cases = (
        ((2, 3, 1, 40), (1,)),
        ((2, 3, 4, 5), (1, 2)),
        ((2, 3, 2, 3, 2, 3, 2), (1, 3, 5)),
        ((35,), (0,)),
        ((2, 3, 4, 5), (0, 3)),
        ((2, 3, 4), (0, 1, 2)),
    )
    modules = [
        sum_module(shape, axes, source, requantize(result, shift, multiplier), result)
        for source, result in TYPES
        for shape, axes in cases
        for shift, multiplier in ((3, 1), (33, 2_000_000_001))
    ]
    assert_bits(modules, sanitize=True, batches=1)


@pytest.mark.parametrize("bits", [10, 20, 31], ids=lambda bits: f"{bits}-bit-table")
def test_softmax(bits: int) -> None:
    """Tables up to the greatest that i32 holds; the largest need 64-bit sums."""
    table = np.floor(((1 << bits) - 1) * np.exp(-0.05 * np.arange(256))).astype(np.int32)
    results = ((I8, -128, 256), (U8, 0, 256), (I16, 0, 32767), (I16, -32768, 65536), (I8, 0, 1))
    modules = [
        module_of(
            [TensorType((2, depth), element(source))],
            lambda x, t, r=result, z=zero_point, o=one: ops.Softmax(x, t, o, z, r.minimum, r.maximum, element(r)),
            [table],
        )
        for depth, source, (result, zero_point, one) in zip(
            (1, 2, 10, 90, 3), (I8, U8, I8, U8, I8), results, strict=True
        )
    ]
    assert_bits(modules, sanitize=True)


def transposes() -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Yield shapes and permutations: all of rank 4, some with axes of extent 1, and the highest rank."""
    for permutation in itertools.permutations(range(4)):
        yield (2, 3, 4, 5), permutation
    yield (1, 3, 1, 5), (3, 2, 1, 0)
    yield (1, 7, 1, 1), (0, 2, 3, 1)
    yield (2, 1, 6), (0, 2, 1)
    yield (3, 4), (1, 0)
    yield (2, 3, 1, 2, 3, 2), (5, 4, 3, 2, 1, 0)
    yield (2, 2, 3, 2, 2, 2, 2, 2), (7, 6, 5, 4, 3, 2, 1, 0)
    yield (2, 1, 2, 1, 2, 2, 1, 2, 2, 2, 2), (10, 9, 8, 1, 7, 5, 4, 3, 2, 6, 0)


def test_transposes() -> None:
    modules = [
        module_of([TensorType(shape, element(dtype))], lambda x, p=permutation: ops.Transpose(x, p))
        for dtype in (I8, U8, I16)
        for shape, permutation in transposes()
    ]
    assert_bits(modules, sanitize=True)


def plain_integers(make: Callable[[Value], Op]) -> Module:
    builder = GraphBuilder()
    operand = builder.add_input("x", TensorType((2, 3, 5), Element(I32)))
    return Module("integers", builder.finish([Output("y", builder.emit(make(operand)))]))


def test_plain_32_bit_integers_can_be_moved() -> None:
    modules = [
        plain_integers(lambda x: ops.Transpose(x, (2, 0, 1))),
        plain_integers(lambda x: ops.Reshape(x, (30,))),
    ]
    assert_bits(modules, sanitize=True)


def test_constants_of_every_type_as_operands_and_outputs() -> None:
    modules: list[Module] = []
    for dtype in (I8, U8, I16):
        builder = GraphBuilder()
        x = builder.add_input("x", TensorType((4, 50), element(dtype)))
        array = codes((4, 50), dtype, 7)
        known = builder.emit(ops.Constant(Data(array), element(dtype)))
        turned = builder.emit(ops.Transpose(builder.emit(ops.Reshape(known, (50, 4))), (1, 0)))
        total = builder.emit(ops.Add(x, known, 2, 1, requantize(dtype, 2), element(dtype)))
        total = builder.emit(ops.Add(turned, total, 1, 1, requantize(dtype, 1), element(dtype)))
        outputs = [Output("y", total), Output("known", known), Output("turned", turned)]
        modules.append(Module("constants", builder.finish(outputs)))
    builder = GraphBuilder()
    least = Data(np.array([-(1 << 31), (1 << 31) - 1, 0, -1] * 5, np.int32))
    modules.append(Module("least", builder.finish([Output("y", builder.emit(ops.Constant(least, Element(I32))))])))
    assert_bits(modules, sanitize=True)


def test_weights_may_be_reshaped_and_transposed_constants() -> None:
    builder = GraphBuilder()
    x = builder.add_input("x", TensorType((1, 4, 4, 6), element(I8)))
    stored = builder.emit(ops.Constant(Data(codes((3, 3, 6, 2), I8, 1)), element(I8)))
    weights = builder.emit(ops.Transpose(stored, (3, 0, 1, 2)))
    y = builder.emit(ops.Conv2D(x, weights, requantize=requantize(I8, 10), element=element(I8)))
    assert_bits([Module("folded", builder.finish([Output("y", y)]))], sanitize=True)


@COMPILED
@given(st.data())
def test_drawn_ops(data: st.DataObject) -> None:
    drawn = [op for op in INT_OPS if op not in (ops.Constant, *ops.FLOAT32_OPS)]
    modules = [data.draw(op_modules(op)) for op in drawn for _ in range(4)]
    assert_bits(modules, sanitize=True, batches=1)


@COMPILED
@given(st.lists(int_modules(), min_size=12, max_size=12))
def test_drawn_modules(modules: list[Module]) -> None:
    assert_bits(modules, sanitize=True, oracle=False)


@COMPILED
@given(st.lists(int_modules(limits=Limits(1, 5, 70), max_layers=8), min_size=6, max_size=6))
def test_drawn_modules_with_many_channels(modules: list[Module]) -> None:
    assert_bits(modules, optimization="-O3", oracle=False)
