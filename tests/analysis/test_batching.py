"""When the images of a batch can run as one larger batch."""

import numpy as np
import pytest

from mrqc.analysis.batching import is_batchwise
from mrqc.ir import Data, DType, Element, GraphBuilder, Module, Output, Quantization, TensorType, Value
from mrqc.numerics import Rounding
from mrqc.ops import int as ops
from mrqc.ops import nn

I8 = Element.per_tensor(DType.I8, 0.5)
ANY = ops.Requantize((1,), (8,), Rounding.HALF_UP, 0, -128, 127)


def answer(shapes: list[tuple[int, ...]], make, stored: tuple[int, ...] | None = None, element: Element = I8) -> bool:
    builder = GraphBuilder()
    operands = [builder.add_input(f"x{index}", TensorType(shape, element)) for index, shape in enumerate(shapes)]
    stationary: set[Value] = set()
    if stored is not None:
        constant = builder.emit(ops.Constant(Data(np.zeros(stored, np.int8)), I8))
        stationary.add(constant)
        operands.append(constant)
    y = builder.emit(make(*operands))
    return is_batchwise(Module("m", builder.finish([Output("y", y)])), stationary)


def fully_connected(x: Value, w: Value) -> ops.FullyConnected:
    return ops.FullyConnected(x, w, requantize=ANY, element=I8)


def add(x: Value, y: Value) -> ops.Add:
    return ops.Add(x, y, 1, 1, ANY, I8)


def double_rescale(x: Value, scales: int) -> ops.DoubleRescale:
    return ops.DoubleRescale(x, (1.0,) * scales, 0, -128, 127, I8)


def float_rescale(x: Value, scales: int) -> ops.FloatRescale:
    return ops.FloatRescale(x, (1.0,) * scales, 0, -128, 127, I8)


@pytest.mark.parametrize(
    ("shapes", "make", "stored"),
    [
        ([(2, 3)], fully_connected, (5, 3)),
        ([(2, 3), (2, 3)], add, None),
        ([(1, 3)], add, (1, 3)),
        ([(2, 3, 4)], lambda x: ops.Reshape(x, (2, 12)), None),
        ([(2, 3, 4)], lambda x: ops.Transpose(x, (0, 2, 1)), None),
        ([(2, 4)], lambda x: nn.Softmax(x), None),
        ([(4,)], lambda x: ops.Clamp(x, 0, 1), None),
        ([(2, 3)], lambda x: ops.Pad(x, (0, 0, 1, 0), 7), None),
        ([(2, 3)], lambda x: ops.Slice(x, (0, 1), (2, 2), (1, 1)), None),
        ([(2, 3)], lambda x: ops.Take(x, 1, (0, 0)), None),
        ([(2, 3)], lambda x: ops.ArgMax(x, 1), None),
        ([(2, 3), (2, 4)], lambda x, y: ops.Concat((x, y), 1, I8), None),
        ([(2, 3)], lambda x: nn.Mean(x, (1,)), None),
        ([(2, 3)], lambda x: double_rescale(x, 3), None),
        ([(2,)], lambda x: float_rescale(x, 1), None),
    ],
)
def test_images_stay_apart(shapes, make, stored) -> None:
    assert answer(shapes, make, stored)


@pytest.mark.parametrize(
    ("shapes", "make", "stored"),
    [
        ([(2, 3), (5, 3)], fully_connected, None),
        ([(3, 3), (3, 3)], fully_connected, None),
        ([(2, 3)], add, (2, 3)),
        ([(2, 3, 4)], lambda x: ops.Reshape(x, (24,)), None),
        ([(2, 3, 4)], lambda x: ops.Transpose(x, (1, 0, 2)), None),
        ([(4,)], lambda x: nn.Softmax(x), None),
        ([()], lambda x: ops.Clamp(x, 0, 1), None),
        ([(2, 3)], lambda x: ops.Pad(x, (0, 1, 0, 0), 7), None),
        ([(2, 3)], lambda x: ops.Slice(x, (1, 0), (1, 3), (1, 1)), None),
        ([(2, 3)], lambda x: ops.Slice(x, (1, 0), (2, 3), (-1, 1)), None),
        ([(2, 3)], lambda x: ops.Take(x, 0, (0, 1)), None),
        ([(2, 3)], lambda x: ops.ArgMax(x, 0), None),
        ([(2, 3), (2, 3)], lambda x, y: ops.Concat((x, y), 0, I8), None),
        ([(2, 3)], lambda x, y: ops.Concat((x, y), 1, I8), (2, 3)),
        ([(2, 3)], lambda x: nn.Mean(x, (0,)), None),
        ([(2,)], lambda x: double_rescale(x, 2), None),
        ([(2,)], lambda x: float_rescale(x, 2), None),
    ],
)
def test_images_meet(shapes, make, stored) -> None:
    assert not answer(shapes, make, stored)


def test_scales_along_the_batch() -> None:
    along_batch = Element(DType.I8, Quantization.per_axis((0.5, 1.0), (0, 0), axis=0))
    along_channels = Element(DType.I8, Quantization.per_axis((0.5, 1.0), (0, 0), axis=1))
    assert not answer([(2, 2)], lambda x: nn.Dequantize(x), element=along_batch)
    assert answer([(2, 2)], lambda x: nn.Dequantize(x), element=along_channels)
