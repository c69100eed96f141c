"""Each nn.* op of the reference interpreter against exact fractions."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from integer_modules import SEEDS, windows
from real_modules import (
    ANY_SCALE,
    CLAMPS,
    ODD_SCALE,
    ROUNDING_ERROR,
    assert_meaning,
    elements,
    module_of,
    related_scales,
    stored,
)

from mrqc.backends.reference import ReferenceProgram
from mrqc.ir import FLOAT, DType, Element, Quantization, TensorType
from mrqc.ops import nn
from mrqc.ops.window import Window

EXACT = Fraction(0)
CHANNELS = st.sampled_from(((1, 1, 1), (1, 3, 2), (2, 2, 2), (3, 1, 1), (3, 1, 2)))
"""Groups, input channels of a group, output channels of a group."""


@given(st.data(), windows(), CHANNELS, st.booleans(), CLAMPS, SEEDS)
def test_conv2d(
    data: st.DataObject,
    case: tuple[Window, int, int],
    channels: tuple[int, int, int],
    related: bool,
    clamp: tuple[float, float],
    seed: int,
) -> None:
    (window, height, width), (groups, depth, outputs) = case, channels
    outputs *= groups
    scales = related_scales() if related else ANY_SCALE
    weight_scales = related_scales(1.0) if related else ANY_SCALE
    images = data.draw(elements(scales))
    weight = data.draw(elements(weight_scales, outputs))
    bias = data.draw(st.one_of(st.none(), st.just(FLOAT), elements(scales, outputs)))
    result = data.draw(elements(scales, outputs, axis=3))
    module = module_of(
        [TensorType((2, height, width, groups * depth), images)],
        lambda x, w, b: nn.Conv2D(
            x,
            w,
            b,
            strides=window.strides,
            padding=window.padding,
            dilations=window.dilations,
            groups=groups,
            clamp=clamp,
            element=result,
        ),
        [
            stored(TensorType((outputs, *window.kernel, depth), weight), seed + 10),
            None if bias is None else stored(TensorType((outputs,), bias), seed + 20),
        ],
    )
    # A float bias is no multiple of the scale, so that the last bit of its quotient may be lost.
    assert_meaning(module, seed, EXACT if related and bias != FLOAT else ROUNDING_ERROR)


@given(st.data(), windows(), CHANNELS, SEEDS)
def test_conv2d_with_floats(
    data: st.DataObject, case: tuple[Window, int, int], channels: tuple[int, int, int], seed: int
) -> None:
    """Where an operand is a float, or has a scale for each input channel, sums are of doubles."""
    (window, height, width), (groups, depth, outputs) = case, channels
    outputs *= groups
    any_element = st.one_of(st.just(FLOAT), elements(ANY_SCALE))
    images = data.draw(st.one_of(any_element, elements(ANY_SCALE, groups * depth, axis=3)))
    weight = data.draw(st.one_of(any_element, elements(ANY_SCALE, depth, axis=3)))
    bias = data.draw(st.one_of(st.none(), any_element))
    result = data.draw(any_element)
    module = module_of(
        [TensorType((2, height, width, groups * depth), images)],
        lambda x, w, b: nn.Conv2D(x, w, b, window.strides, window.padding, window.dilations, groups, element=result),
        [
            stored(TensorType((outputs, *window.kernel, depth), weight), seed + 10),
            None if bias is None else stored(TensorType((outputs,), bias), seed + 20),
        ],
    )
    assert_meaning(module, seed)


@pytest.mark.parametrize("seed", range(10_000_001, 10_000_021))
def test_sums_of_large_terms_that_cancel_each_other(seed: int) -> None:
    """What is left of products of hundreds of thousands may be zero, and a double a part of these beside it."""
    image = Element.per_tensor(DType.I8, 4.246815811940076)
    weight = Element(DType.I8, Quantization((6.0,), (0,), 3))
    module = module_of(
        [TensorType((2, 4, 5, 3), image)],
        lambda x, w: nn.Conv2D(x, w, None, (1, 1), (0, 0, 0, 0), (1, 1), 3, element=FLOAT),
        [stored(TensorType((3, 3, 3, 1), weight), seed + 10)],
    )
    assert_meaning(module, seed)


@given(st.data(), st.sampled_from((0, 1, 2)), st.booleans(), CLAMPS, SEEDS)
def test_contractions_with_scales_along_another_axis(
    data: st.DataObject, axis: int, floats: bool, clamp: tuple[float, float], seed: int
) -> None:
    """Results whose scale changes from image to image, row to row or column to column."""
    images = FLOAT if floats else data.draw(elements(ANY_SCALE))
    weight = data.draw(elements(ANY_SCALE, 5))
    shape = (2, 3, 4, 5)
    result = data.draw(elements(ANY_SCALE, shape[axis], axis))
    module = module_of(
        [TensorType((2, 3, 4, 2), images)],
        lambda x, w: nn.Conv2D(x, w, clamp=clamp, element=result),
        [stored(TensorType((5, 1, 1, 2), weight), seed + 10)],
    )
    assert_meaning(module, seed)
    if axis == 0:
        dense = module_of(
            [TensorType((2, 6), images)],
            lambda x, w: nn.FullyConnected(x, w, clamp=clamp, element=result),
            [stored(TensorType((5, 6), weight), seed + 10)],
        )
        assert_meaning(dense, seed)


@given(st.data(), st.integers(1, 30), st.integers(1, 4), st.booleans(), CLAMPS, SEEDS)
def test_fully_connected(
    data: st.DataObject, depth: int, outputs: int, related: bool, clamp: tuple[float, float], seed: int
) -> None:
    scales = related_scales() if related else ANY_SCALE
    images = data.draw(elements(scales))
    weight = data.draw(elements(related_scales(1.0) if related else ANY_SCALE, outputs))
    bias = data.draw(st.one_of(st.none(), elements(scales, outputs)))
    result = data.draw(elements(scales, outputs, axis=1))
    module = module_of(
        [TensorType((2, depth), images)],
        lambda x, w, b: nn.FullyConnected(x, w, b, clamp=clamp, element=result),
        [
            stored(TensorType((outputs, depth), weight), seed + 10),
            None if bias is None else stored(TensorType((outputs,), bias), seed + 20),
        ],
    )
    assert_meaning(module, seed, EXACT if related else ROUNDING_ERROR)


@given(st.data(), st.integers(1, 30), SEEDS)
def test_fully_connected_with_floats(data: st.DataObject, depth: int, seed: int) -> None:
    any_element = st.one_of(st.just(FLOAT), elements(ANY_SCALE, depth, axis=1))
    result = data.draw(st.one_of(st.just(FLOAT), elements(ANY_SCALE, 4, axis=1)))
    module = module_of(
        [TensorType((3, depth), data.draw(any_element)), TensorType((4, depth), data.draw(any_element))],
        lambda x, w: nn.FullyConnected(x, w, element=result),
    )
    assert_meaning(module, seed)


@given(st.data(), windows(pool=True), st.booleans(), st.booleans(), CLAMPS, SEEDS)
def test_average_pool2d(
    data: st.DataObject,
    case: tuple[Window, int, int],
    count_include_pad: bool,
    related: bool,
    clamp: tuple[float, float],
    seed: int,
) -> None:
    window, height, width = case
    scales = related_scales() if related else ANY_SCALE
    images = data.draw(st.one_of(st.just(FLOAT), elements(scales, 2, axis=3)))
    result = data.draw(st.one_of(st.just(FLOAT), elements(scales, 2, axis=3)))
    module = module_of(
        [TensorType((2, height, width, 2), images)],
        lambda x: nn.AveragePool2D(x, window.kernel, window.strides, window.padding, count_include_pad, clamp, result),
    )
    per_tensor = images.quantization is not None and images.quantization.is_per_tensor
    assert_meaning(module, seed, EXACT if related and per_tensor else ROUNDING_ERROR)


@given(st.data(), windows(pool=True), st.booleans(), CLAMPS, SEEDS)
def test_max_pool2d(
    data: st.DataObject, case: tuple[Window, int, int], related: bool, clamp: tuple[float, float], seed: int
) -> None:
    window, height, width = case
    scales = related_scales() if related else ANY_SCALE
    images = data.draw(st.one_of(st.just(FLOAT), elements(scales, 2, axis=3), elements(scales, width, axis=2)))
    result = data.draw(st.one_of(st.just(FLOAT), elements(scales, 2, axis=3)))
    module = module_of(
        [TensorType((2, height, width, 2), images)],
        lambda x: nn.MaxPool2D(x, window.kernel, window.strides, window.padding, clamp, result),
    )
    per_tensor = images.quantization is not None and images.quantization.is_per_tensor
    assert_meaning(module, seed, EXACT if related and per_tensor else ROUNDING_ERROR)


@given(st.data(), st.sampled_from((nn.Mean, nn.Sum)), st.booleans(), st.booleans(), SEEDS)
def test_reductions(
    data: st.DataObject, kind: type[nn.Mean | nn.Sum], keep_dims: bool, related: bool, seed: int
) -> None:
    scales = related_scales() if related else ANY_SCALE
    axes = data.draw(st.sampled_from(((0,), (1,), (2, 3), (1, 3), (0, 1, 2), (0, 1, 2, 3))))
    operand, result = (Element.per_tensor(DType.I8, data.draw(scales), data.draw(st.integers(-9, 9))) for _ in range(2))
    choice = data.draw(st.sampled_from(((operand, result), (FLOAT, result), (operand, FLOAT))))
    module = module_of([TensorType((2, 3, 2, 4), choice[0])], lambda x: kind(x, axes, keep_dims, choice[1]))
    assert_meaning(module, seed, EXACT if related and choice[0] != FLOAT else ROUNDING_ERROR)


SCALE = st.sampled_from((0.5, 1.0, 0.1))


@given(st.data(), st.sampled_from(nn.Coordinates), st.tuples(*[st.integers(1, 7)] * 2), SEEDS)
def test_resize_bilinear(data: st.DataObject, coordinates: nn.Coordinates, size: tuple[int, int], seed: int) -> None:
    operand, result = (Element.per_tensor(DType.U8, data.draw(SCALE), data.draw(st.integers(0, 9))) for _ in range(2))
    module = module_of([TensorType((2, 3, 4, 2), operand)], lambda x: nn.ResizeBilinear(x, size, coordinates, result))
    assert_meaning(module, seed, ROUNDING_ERROR)


@given(st.sampled_from(nn.Mirror), st.lists(st.integers(0, 2), min_size=4, max_size=4), SEEDS)
def test_mirror_pad(mode: nn.Mirror, padding: list[int], seed: int) -> None:
    codes = Element.per_tensor(DType.I8, 0.5, 3)
    module = module_of([TensorType((3, 3), codes)], lambda x: nn.MirrorPad(x, tuple(padding), mode))
    assert_meaning(module, seed, EXACT)


@given(st.data(), st.integers(0, 2), SCALE, SEEDS)
def test_concat(data: st.DataObject, axis: int, scale: float, seed: int) -> None:
    shapes = [tuple(data.draw(st.integers(1, 3)) if a == axis else 2 for a in range(3)) for _ in range(3)]
    operands = [TensorType(shape, Element.per_tensor(DType.I8, 0.5 * (n + 1), n)) for n, shape in enumerate(shapes)]
    result = Element.per_tensor(DType.I8, scale, -4)
    module = module_of(operands, lambda *inputs: nn.Concat(inputs, axis, result))
    assert_meaning(module, seed, ROUNDING_ERROR)


@given(st.data(), SEEDS)
def test_slices_and_choices(data: st.DataObject, seed: int) -> None:
    type_ = TensorType((2, 5), Element.per_tensor(DType.I8, 0.5, 3))
    stride = data.draw(st.sampled_from((1, 2, -1, -2)))
    first = data.draw(st.integers(0, 4))
    room = (4 - first if stride > 0 else first) // abs(stride) + 1
    size = data.draw(st.integers(1, room))
    assert_meaning(module_of([type_], lambda x: nn.Slice(x, (0, first), (2, size), (1, stride))), seed, EXACT)
    indices = tuple(data.draw(st.lists(st.integers(0, 4), min_size=1, max_size=6)))
    assert_meaning(module_of([type_], lambda x: nn.Take(x, 1, indices)), seed, EXACT)


@given(st.data(), st.booleans(), CLAMPS, SEEDS)
def test_add(data: st.DataObject, related: bool, clamp: tuple[float, float], seed: int) -> None:
    scales = related_scales() if related else ANY_SCALE
    operands = elements(scales, 3, axis=1)
    if not related:
        operands = st.one_of(st.just(FLOAT), operands)
    result = data.draw(operands)
    module = module_of(
        [TensorType((20, 3), data.draw(operands)), TensorType((20, 3), data.draw(operands))],
        lambda x, y: nn.Add(x, y, clamp, result),
    )
    assert_meaning(module, seed, EXACT if related else ROUNDING_ERROR)


@given(st.data(), st.booleans(), CLAMPS, SEEDS)
def test_clip(data: st.DataObject, related: bool, clamp: tuple[float, float], seed: int) -> None:
    scales = related_scales() if related else ANY_SCALE
    operands = st.one_of(st.just(FLOAT), elements(scales, 3, axis=1))
    operand, result = data.draw(operands), data.draw(operands)
    module = module_of([TensorType((20, 3), operand)], lambda x: nn.Clip(x, clamp, result))
    assert_meaning(module, seed, EXACT if related and operand != FLOAT else ROUNDING_ERROR)


@given(st.data(), st.booleans(), SEEDS)
def test_quantize(data: st.DataObject, related: bool, seed: int) -> None:
    scales = related_scales() if related else ANY_SCALE
    operand = data.draw(st.one_of(st.just(FLOAT), elements(scales, 3, axis=1)))
    result = data.draw(elements(scales, 3, axis=1))
    module = module_of([TensorType((20, 3), operand)], lambda x: nn.Quantize(x, result))
    assert_meaning(module, seed, EXACT if related and operand != FLOAT else ROUNDING_ERROR)


@given(elements(ANY_SCALE, 3, axis=1), SEEDS)
def test_dequantize(element: Element, seed: int) -> None:
    assert_meaning(module_of([TensorType((20, 3), element)], lambda x: nn.Dequantize(x)), seed)


@given(st.one_of(st.just(FLOAT), elements(ANY_SCALE)), SEEDS, st.integers(1, 40))
def test_softmax(element: Element, seed: int, classes: int) -> None:
    result = Element.per_tensor(DType.U8, 1 / 256)
    for produced in (FLOAT, result):
        assert_meaning(
            module_of([TensorType((3, classes), element)], lambda x, to=produced: nn.Softmax(x, element=to)), seed
        )


@pytest.mark.parametrize("element", [FLOAT, Element(DType.I8, Quantization((0.5, 2.0), (1, -1), 2))])
def test_transpose(element: Element) -> None:
    module = module_of([TensorType((3, 4, 2), element)], lambda x: nn.Transpose(x, (2, 0, 1)))
    assert_meaning(module, seed=1, slack=EXACT)


@pytest.mark.parametrize("element", [FLOAT, Element.per_tensor(DType.U8, ODD_SCALE, 7)])
def test_reshape(element: Element) -> None:
    module = module_of([TensorType((3, 4, 2), element)], lambda x: nn.Reshape(x, (3, 8)))
    assert_meaning(module, seed=1, slack=EXACT)


def test_plain_integers_stand_for_themselves() -> None:
    plain = TensorType((4,), Element(DType.I32))
    module = module_of([plain], lambda x: nn.Clip(x, (-2.5, 6.0), Element(DType.I8)))
    assert ReferenceProgram(module).run(np.array([-9, -2, 3, 900], np.int32))["y"].tolist() == [-2, -2, 3, 6]


def test_ties_go_to_even_whatever_the_scale() -> None:
    """The real values are no doubles; the ties between them are ties all the same."""
    for scale in (0.1, 0.3, 1 / 3, 1e-5):
        halves = TensorType((1, 1, 2, 1), Element.per_tensor(DType.U8, scale, 128))
        module = module_of(
            [halves], lambda x, s=scale: nn.AveragePool2D(x, (1, 2), element=Element.per_tensor(DType.U8, s, 128))
        )
        rows = np.arange(256).astype(np.uint8)
        images = np.stack([rows, np.full(256, 128, np.uint8)], axis=1).reshape(256, 1, 2, 1)
        found = ReferenceProgram(module).run(images)["y"].reshape(-1)
        assert found.tolist() == [round(Fraction(int(row) - 128, 2)) + 128 for row in rows]


def test_padding_is_real_zero_and_not_code_zero() -> None:
    element = Element.per_tensor(DType.U8, 0.5, 100)
    module = module_of(
        [TensorType((1, 1, 1, 1), element)],
        lambda x, w: nn.Conv2D(x, w, padding=(1, 1, 1, 1), element=element),
        [(np.full((1, 3, 3, 1), 3, np.int8), Element.per_tensor(DType.I8, 1.0, 2))],
    )
    assert ReferenceProgram(module).run(np.full((1, 1, 1, 1), 104, np.uint8))["y"].tolist() == [[[[104]]]]


@pytest.mark.parametrize(("count_include_pad", "expected"), [(True, 1.0), (False, 4.0)])
def test_padding_in_the_mean(count_include_pad: bool, expected: float) -> None:
    element = Element.per_tensor(DType.U8, 0.5, 100)
    module = module_of(
        [TensorType((1, 1, 1, 1), element)],
        lambda x: nn.AveragePool2D(x, (2, 2), padding=(1, 1, 0, 0), count_include_pad=count_include_pad),
    )
    assert ReferenceProgram(module).run(np.full((1, 1, 1, 1), 108, np.uint8))["y"].item() == expected
