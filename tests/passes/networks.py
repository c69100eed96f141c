"""Small quantized modules, built by hand for the tests of passes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mrqc.ir import Data, DType, Element, GraphBuilder, Location, Module, Output, Quantization, TensorType, Value
from mrqc.ops import nn


class Network:
    """A module under construction: each method adds a layer to the value it is given."""

    def __init__(self) -> None:
        self.builder = GraphBuilder()

    def input(
        self, shape: Sequence[int], scale: float, zero_point: int = 0, dtype: DType = DType.U8, name: str = "x"
    ) -> Value:
        return self.builder.add_input(name, TensorType(tuple(shape), Element.per_tensor(dtype, scale, zero_point)))

    def constant(self, codes: ArrayLike, element: Element) -> Value:
        return self.builder.emit(nn.Constant(Data.of(codes, element.dtype), element))

    def conv(
        self,
        x: Value,
        codes: NDArray[Any],
        weight: Element,
        out: Element,
        *,
        bias: Sequence[int] | None = None,
        name: str = "conv",
        **geometry: Any,
    ) -> Value:
        """A convolution over OHWI weight codes; bias codes are at the scale of the accumulator."""
        kernel = self.constant(codes, weight)
        offset = None
        if bias is not None:
            assert x.type.quantization is not None
            assert weight.quantization is not None
            scales = [x.type.quantization.scale * scale for scale in weight.quantization.scales]
            quantization = (
                Quantization.per_tensor(scales[0])
                if weight.quantization.is_per_tensor
                else Quantization.per_axis(scales, [0] * len(scales), 0)
            )
            offset = self.constant(bias, Element(DType.I32, quantization))
        op = nn.Conv2D(x, kernel, offset, element=out, **geometry)
        return self.builder.emit(op, Location.of(name))

    def emit(self, op: Any, name: str = "") -> Value:
        return self.builder.emit(op, Location.of(name))

    def finish(self, *results: Value) -> Module:
        outputs = [Output(f"y{index}" if index else "y", result) for index, result in enumerate(results)]
        return Module("network", self.builder.finish(outputs))


def u8(scale: float, zero_point: int = 0) -> Element:
    return Element.per_tensor(DType.U8, scale, zero_point)


def i8(scale: float, zero_point: int = 0) -> Element:
    return Element.per_tensor(DType.I8, scale, zero_point)


def weights(shape: Sequence[int], seed: int, *, low: int = -110, high: int = 110) -> NDArray[np.int64]:
    return np.random.default_rng(seed).integers(low, high, shape, endpoint=True)


def residual_network(seed: int = 0) -> Module:
    """Stem, expand, depthwise, project, add, mean, fully connected, softmax: every structure of a MobileNet."""
    net = Network()
    x = net.input((1, 8, 8, 4), 2.0**-5, 128)
    stem = net.conv(x, weights((8, 1, 1, 4), seed) + 128, u8(0.011, 128), u8(0.13, 120), name="stem")
    wide = net.conv(
        stem,
        weights((16, 1, 1, 8), seed + 1) + 120,
        u8(0.0057, 120),
        u8(6 / 255),
        bias=[int(b) for b in weights((16,), seed + 2, low=-4000, high=9000)],
        clamp=(0.0, 6.0),
        name="expand",
    )
    deep = net.conv(
        wide,
        weights((16, 3, 3, 1), seed + 3) + 130,
        u8(0.0043, 130),
        u8(6 / 255),
        padding=(1, 1, 1, 1),
        groups=16,
        clamp=(0.0, 6.0),
        name="depthwise",
    )
    project = net.conv(deep, weights((8, 1, 1, 16), seed + 4) + 127, u8(0.0031, 127), u8(0.06, 140), name="project")
    added = net.emit(nn.Add(stem, project, element=u8(0.15, 125)), "residual")
    mean = net.emit(nn.AveragePool2D(added, (7, 7), element=u8(0.05, 128)), "mean")
    flat = net.emit(nn.Reshape(mean, (1, 2 * 2 * 8)), "flatten")
    kernel = net.constant(weights((10, 32), seed + 5) + 125, u8(0.006, 125))
    logits = net.emit(nn.FullyConnected(flat, kernel, element=u8(0.1, 110)), "logits")
    return net.finish(net.emit(nn.Softmax(logits, element=u8(1 / 256)), "softmax"))
