"""Random small QDQ models: chains with branches, in all the ways in which exporters place their nodes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto
from onnx_models import Graph

SCALES = st.one_of(st.integers(-7, 1).map(lambda exponent: 2.0**exponent), st.floats(2.0**-7, 2.0, width=32))
DTYPES = st.sampled_from((np.uint8, np.int8))


def element_type_of(dtype: Any) -> int:
    return TensorProto.UINT8 if dtype is np.uint8 else TensorProto.INT8


@dataclass
class Draft:
    """A model while it is drawn.

    Attributes:
        draw: Supplied by hypothesis.
        graph: The nodes so far.
        current: Name of the float tensor that the next node works on.
        shape: Its shape as ONNX sees it, NCHW for images.
        earlier: Float tensors that a residual connection may come back to, by shape.
    """

    draw: st.DrawFn
    graph: Graph
    current: str = ""
    shape: tuple[int, ...] = ()
    earlier: dict[tuple[int, ...], list[str]] = field(default_factory=dict[tuple[int, ...], list[str]])

    def codes(self, shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
        limits = np.iinfo(dtype)
        generator = np.random.default_rng(self.draw(st.integers(0, 2**16)))
        return generator.integers(limits.min, limits.max, shape, dtype, endpoint=True)

    def scheme(self) -> tuple[float, int, Any]:
        dtype = self.draw(DTYPES)
        limits = np.iinfo(dtype)
        zero_point = self.draw(st.one_of(st.just(0), st.integers(limits.min, limits.max)))
        return self.draw(SCALES), zero_point, dtype

    def step(self, name: str, shape: tuple[int, ...] | None = None) -> None:
        """Go on with another tensor, maybe clipped, quantized and moved."""
        self.current, self.shape = name, self.shape if shape is None else shape
        if self.draw(st.booleans()):
            self.clip()
        if self.draw(st.integers(0, 9)):
            self.current = self.graph.requantize(self.current, *self.scheme())
        if self.draw(st.integers(0, 5)) == 0:
            self.there_and_back()
        self.earlier.setdefault(self.shape, []).append(self.current)

    def clip(self) -> None:
        if self.draw(st.booleans()):
            self.current = self.graph.node("Relu", self.current)
        else:
            bounds = sorted(self.draw(st.tuples(st.floats(-4, 4, width=32), st.floats(-4, 4, width=32))))
            constants = [self.graph.constant(np.float32(bound)) for bound in bounds]
            self.current = self.graph.node("Clip", self.current, *constants)

    def there_and_back(self) -> None:
        """Permute the axes, clip or quantize there, and permute them back."""
        order = self.draw(st.permutations(range(len(self.shape))))
        back = [order.index(axis) for axis in range(len(order))]
        self.current = self.graph.node("Transpose", self.current, perm=order)
        if self.draw(st.booleans()):
            self.clip()
        else:
            self.current = self.graph.requantize(self.current, *self.scheme())
        self.current = self.graph.node("Transpose", self.current, perm=back)

    def weight(self, shape: tuple[int, ...], axis: int) -> tuple[str, int, NDArray[Any] | float]:
        """Return a dequantized weight, its number of outputs, and its scales."""
        outputs = shape[axis]
        if self.draw(st.booleans()):
            scale, zero_point, dtype = self.scheme()
            return self.graph.weight(self.codes(shape, dtype), scale, zero_point), outputs, scale
        scales = np.float32(self.draw(st.lists(SCALES, min_size=outputs, max_size=outputs)))
        weight = self.graph.weight(self.codes(shape, np.int8), scales, np.zeros(outputs), axis=axis)
        return weight, outputs, scales

    def bias(self, outputs: int, scales: NDArray[Any] | float) -> list[str]:
        kind = self.draw(st.sampled_from(("none", "codes", "float")))
        if kind == "none":
            return []
        codes = self.codes((outputs,), np.int16).astype(np.int32)
        if kind == "float":
            return [self.graph.constant((codes / 1024).astype(np.float32))]
        if isinstance(scales, float):
            return [self.graph.weight(codes, scales / 8)]
        return [self.graph.weight(codes, scales / 8, np.zeros(outputs), axis=0)]

    def convolution(self) -> None:
        _, channels, height, width = self.shape
        depthwise = self.draw(st.booleans())
        outputs = channels if depthwise else self.draw(st.integers(1, 4))
        kernel = (self.draw(st.integers(1, min(3, height))), self.draw(st.integers(1, min(3, width))))
        strides = [self.draw(st.integers(1, 2)) for _ in range(2)]
        pads = [self.draw(st.integers(0, 1)) for _ in range(4)]
        depth = 1 if depthwise else channels
        weight, outputs, scales = self.weight((outputs, depth, *kernel), 0)
        result = self.graph.node(
            "Conv",
            self.current,
            weight,
            *self.bias(outputs, scales),
            group=channels if depthwise else 1,
            strides=strides,
            pads=pads,
        )
        size = (
            (extent + pads[axis] + pads[axis + 2] - kernel[axis]) // strides[axis] + 1
            for axis, extent in enumerate((height, width))
        )
        self.step(result, (1, outputs, *size))

    def pool(self) -> None:
        _, channels, height, width = self.shape
        op_type = self.draw(st.sampled_from(("MaxPool", "AveragePool", "GlobalAveragePool")))
        if op_type == "GlobalAveragePool":
            self.step(self.graph.node(op_type, self.current), (1, channels, 1, 1))
            return
        kernel = (self.draw(st.integers(1, min(3, height))), self.draw(st.integers(1, min(3, width))))
        strides = [self.draw(st.integers(1, 2)) for _ in range(2)]
        size = ((extent - kernel[axis]) // strides[axis] + 1 for axis, extent in enumerate((height, width)))
        result = self.graph.node(op_type, self.current, kernel_shape=list(kernel), strides=strides)
        self.step(result, (1, channels, *size))

    def residual(self) -> None:
        other = self.draw(st.sampled_from(self.earlier[self.shape]))
        pair = (self.current, other) if self.draw(st.booleans()) else (other, self.current)
        self.step(self.graph.node("Add", *pair))

    def classifier(self) -> None:
        size = int(np.prod(self.shape))
        target = self.graph.constant(np.array([0, -1]))
        flat = (
            self.graph.node("Flatten", self.current)
            if self.draw(st.booleans())
            else self.graph.node("Reshape", self.current, target)
        )
        if self.draw(st.booleans()):
            flat = self.graph.requantize(flat, *self.scheme())
        outputs = self.draw(st.integers(1, 4))
        if self.draw(st.booleans()):
            weight, outputs, scales = self.weight((size, outputs), 1)
            result = self.graph.node("MatMul", flat, weight)
            for bias in self.bias(outputs, scales):
                result = self.graph.node("Add", result, bias)
        else:
            weight, outputs, scales = self.weight((outputs, size), 0)
            result = self.graph.node("Gemm", flat, weight, *self.bias(outputs, scales), transB=1)
        self.step(result, (1, outputs))
        if self.draw(st.booleans()):
            self.step(self.graph.node("Softmax", self.current))


@st.composite
def qdq_models(draw: st.DrawFn) -> tuple[ModelProto, dict[str, NDArray[Any]]]:
    """Return a model and arrays for its input."""
    draft = Draft(draw, Graph())
    graph = draft.graph
    shape = tuple(draw(st.integers(1, high)) for high in (3, 5, 5))
    nhwc = draw(st.booleans())
    stored = (1, *shape[1:], shape[0]) if nhwc else (1, *shape)
    as_codes = draw(st.booleans())
    scale, zero_point, dtype = draft.scheme()
    element_type = element_type_of(dtype) if as_codes else TensorProto.FLOAT
    x = graph.input("x", stored, element_type)
    array = draft.codes(stored, dtype)
    if nhwc:
        x = graph.node("Transpose", x, perm=[0, 3, 1, 2])
    draft.shape = (1, *shape)
    if as_codes:
        draft.current = graph.dequantize(x, scale, zero_point, dtype)
    else:
        array = (array / 64).astype(np.float32)
        draft.current = graph.requantize(x, scale, zero_point, dtype)
    draft.earlier[draft.shape] = [draft.current]
    for _ in range(draw(st.integers(1, 4))):
        draw(st.sampled_from((draft.convolution, draft.pool, draft.residual)))()
    if draw(st.booleans()):
        draft.classifier()
    if draw(st.booleans()):
        scale, zero_point, dtype = draft.scheme()
        graph.output(graph.quantize(draft.current, scale, zero_point, dtype), element_type_of(dtype))
    else:
        graph.output(draft.current)
    return graph.model(), {"x": array}
