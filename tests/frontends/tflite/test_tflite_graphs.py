"""Generated models of several operators: branches, shared tensors, several outputs; the bytes of LiteRT."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn
from litert import LiteRT
from single_ops import SingleOpCase, as_runtime, assert_same_bytes, case, output_types
from tflite_files import NUMPY, SAME, Scales, TfliteFile, options
from tflite_strategies import draw_scales, fused_activations, paddings, window_size

import mrqc
from mrqc.ir import verify


@dataclass
class Drawing:
    """A model being drawn, all of it in one type of elements.

    Attributes:
        draw: Of hypothesis.
        dtype: ``i8`` or ``u8``.
        file: What is drawn so far.
        images: Its image tensors with their shapes and scales.
    """

    draw: DrawFn
    dtype: str
    file: TfliteFile = field(default_factory=TfliteFile)
    images: list[tuple[int, tuple[int, ...], Scales]] = field(default_factory=list)

    def scales(self) -> Scales:
        scales = draw_scales(self.draw, self.dtype, 0.02, 0.2)
        assert scales is not None
        return scales

    def image(self) -> tuple[int, tuple[int, ...], Scales]:
        return self.draw(st.sampled_from(self.images))

    def result(self, shape: tuple[int, ...], scales: Scales) -> int:
        index = self.file.tensor(self.dtype, shape, scales)
        self.images.append((index, shape, scales))
        return index

    def weights(self, shape: tuple[int, ...], axis: int, scale: float) -> list[int]:
        """Add weights and a bias, with a scale for each output of signed codes."""
        random = np.random.default_rng(self.draw(st.integers(0, 2**32 - 1)))
        limits = np.iinfo(NUMPY[self.dtype])
        low = limits.min if self.dtype == "u8" else -127
        codes = random.integers(low, limits.max, shape, NUMPY[self.dtype], endpoint=True)
        outputs = shape[axis]
        if self.dtype == "u8":
            weight = Scales.one(0.01, int(random.integers(0, 256)))
            bias = Scales.one(float(np.float32(scale) * np.float32(weight.scales[0])))
        else:
            weight = Scales.along(axis, random.uniform(0.004, 0.02, outputs).tolist())
            bias = Scales.along(0, [scale * each for each in weight.scales])
        numbers = random.integers(-5000, 5000, outputs, np.int32)
        return [self.file.constant(codes, weight), self.file.constant(numbers, bias)]


def convolution(drawing: Drawing) -> None:
    draw, (image, shape, scales) = drawing.draw, drawing.image()
    kernel, stride, outputs = draw(st.integers(1, 3)), draw(st.integers(1, 2)), draw(st.integers(1, 5))
    size = tuple(window_size(extent, kernel, stride, SAME) for extent in shape[1:3])
    fields = options(
        "Conv2DOptions",
        padding=SAME,
        stride_h=stride,
        stride_w=stride,
        fused_activation_function=draw(fused_activations),
    )
    weights = drawing.weights((outputs, kernel, kernel, shape[3]), 0, scales.scales[0])
    result = drawing.result((1, *size, outputs), drawing.scales())
    drawing.file.operator("CONV_2D", [image, *weights], [result], fields, version=3)


def depthwise(drawing: Drawing) -> None:
    draw, (image, shape, scales) = drawing.draw, drawing.image()
    kernel, multiplier = draw(st.integers(1, 3)), draw(st.integers(1, 2))
    fields = options(
        "DepthwiseConv2DOptions",
        padding=SAME,
        stride_h=1,
        stride_w=1,
        depth_multiplier=multiplier,
        fused_activation_function=draw(fused_activations),
    )
    outputs = shape[3] * multiplier
    weights = drawing.weights((1, kernel, kernel, outputs), 3, scales.scales[0])
    result = drawing.result((*shape[:3], outputs), drawing.scales())
    drawing.file.operator("DEPTHWISE_CONV_2D", [image, *weights], [result], fields, version=3)


def addition(drawing: Drawing) -> None:
    first, shape, _ = drawing.image()
    second = drawing.draw(st.sampled_from([index for index, other, _ in drawing.images if other == shape]))
    fields = options("AddOptions", fused_activation_function=drawing.draw(fused_activations))
    drawing.file.operator("ADD", [first, second], [drawing.result(shape, drawing.scales())], fields)


def pool(drawing: Drawing) -> None:
    draw, (image, shape, scales) = drawing.draw, drawing.image()
    padding, kernel, stride = draw(paddings), draw(st.integers(1, 3)), draw(st.integers(1, 2))
    size = tuple(window_size(extent, kernel, stride, padding) for extent in shape[1:3])
    if min(size) < 1:
        return
    fields = options(
        "Pool2DOptions", padding=padding, stride_h=stride, stride_w=stride, filter_height=kernel, filter_width=kernel
    )
    builtin = draw(st.sampled_from(("AVERAGE_POOL_2D", "MAX_POOL_2D")))
    drawing.file.operator(builtin, [image], [drawing.result((1, *size, shape[3]), scales)], fields)


def requantization(drawing: Drawing) -> None:
    image, shape, _ = drawing.image()
    builtin = drawing.draw(st.sampled_from(("QUANTIZE", "RELU", "RELU6")))
    drawing.file.operator(builtin, [image], [drawing.result(shape, drawing.scales())])


def move(drawing: Drawing) -> None:
    """Height and width change places, or all rows come under each other."""
    image, shape, scales = drawing.image()
    if drawing.draw(st.booleans()):
        result = drawing.result((1, shape[2], shape[1], shape[3]), scales)
        drawing.file.operator("TRANSPOSE", [image, drawing.file.integers([0, 2, 1, 3])], [result])
    else:
        result = drawing.result((1, shape[1] * shape[2], 1, shape[3]), scales)
        drawing.file.operator("RESHAPE", [image, drawing.file.integers([1, -1, 1, shape[3]])], [result])


STEPS: tuple[Callable[[Drawing], None], ...] = (convolution, depthwise, addition, pool, requantization, move)


@st.composite
def graphs(draw: DrawFn) -> SingleOpCase:
    drawing = Drawing(draw, draw(st.sampled_from(("i8", "u8"))))
    for number in range(draw(st.integers(1, 2))):
        shape, scales = (1, draw(st.integers(2, 6)), draw(st.integers(2, 6)), draw(st.integers(1, 3))), drawing.scales()
        drawing.images.append((drawing.file.input(drawing.dtype, shape, scales, f"in{number}"), shape, scales))
    entries = len(drawing.images)
    for _ in range(draw(st.integers(2, 9))):
        draw(st.sampled_from(STEPS))(drawing)
    results = [index for index, _, _ in drawing.images[entries:]]
    if not results:
        addition(drawing)
        results = [drawing.images[-1][0]]
    drawing.file.graph.outputs = draw(st.lists(st.sampled_from(results), min_size=1, max_size=4))
    return case(draw, drawing.file)


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(drawn=graphs())
def test_models_of_several_operators(tmp_path_factory: pytest.TempPathFactory, drawn: SingleOpCase) -> None:
    path: Path = tmp_path_factory.getbasetemp() / "graph.tflite"
    path.write_bytes(drawn.content)
    module = mrqc.load(path)
    assert verify(module) == []
    lowered = mrqc.lower(module, "tflite")
    program, types = mrqc.simulate(lowered), output_types(lowered)
    for row, expected in zip(drawn.rows, LiteRT(drawn.content).run_all(drawn.rows), strict=True):
        found = program.run(row)
        assert found.keys() == expected.keys()
        for name, array in expected.items():
            assert_same_bytes(as_runtime(found[name], types[name], array.dtype), array, f"{module}\noutput {name!r}")
