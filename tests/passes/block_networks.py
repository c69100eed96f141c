"""Modules of a few layers that are blocks, or chains of them."""

from __future__ import annotations

from typing import Any

from networks import Network, i8, weights

from mrqc.ir import Module, Value
from mrqc.ops import nn

SCALE = 0.0097
"""Of weights; with it no sum is a tie between two codes."""
KINDS = ("strided", "dilated", "flat", "inverted")


def conv(net: Network, x: Value, shape: tuple[int, int, int, int], name: str, **geometry: Any) -> Value:
    return net.conv(x, weights(shape, len(name)), i8(SCALE), i8(0.1), name=name, **geometry)


def depthwise(net: Network, x: Value, channels: int, **geometry: Any) -> Value:
    padded = net.emit(nn.Pad(x, (0, 0, 1, 1, 1, 1, 0, 0)))
    return conv(net, padded, (channels, 3, 3, 1), "depthwise", groups=channels, **geometry)


def chain(layers: str) -> Module:
    """Layers one behind the other: d for a depthwise one, m for one that mixes channels, - for a mean of pixels."""
    net = Network()
    x = net.input((1, 9, 9, 4), 0.0213, 128)
    for layer in layers:
        if layer == "d":
            x = depthwise(net, x, 4)
        elif layer == "m":
            x = conv(net, x, (4, 1, 1, 4), "mixing")
        else:
            x = net.emit(nn.AveragePool2D(x, (1, 1), element=x.type.element))
    return net.finish(x)


def residual(kind: str) -> Module:
    """One block that is nothing but that: what a module consists of between its input and its output."""
    net = Network()
    x = net.input((1, 7, 6, 4), 0.0213, 128)
    if kind == "strided":
        deep = conv(net, x, (6, 3, 3, 4), "one", padding=(1, 0, 1, 1), strides=(2, 2), clamp=(0.0, 9.0))
        deep = conv(net, deep, (6, 3, 3, 3), "two", padding=(1, 1, 1, 1), groups=2)
        short = conv(net, x, (6, 1, 1, 4), "short", strides=(2, 2))
        return net.finish(net.emit(nn.Add(short, deep, (0.0, 9.0), i8(0.2))))
    if kind == "dilated":
        deep = conv(net, x, (8, 2, 3, 1), "one", padding=(1, 2, 1, 2), dilations=(2, 2), groups=4)
        deep = conv(net, deep, (4, 1, 1, 2), "two", groups=4)
        return net.finish(net.emit(nn.Add(x, deep, element=i8(0.2))))
    if kind == "flat":
        flat = net.emit(nn.Reshape(x, (1, 7 * 6 * 4)))
        wide = net.emit(nn.FullyConnected(flat, net.constant(weights((6, 168), 1), i8(SCALE)), element=i8(0.1)))
        kernel = net.constant(weights((6, 6), 2), i8(SCALE))
        deep = net.emit(nn.FullyConnected(wide, kernel, clamp=(0.0, 9.0), element=i8(0.1)))
        deep = net.emit(nn.FullyConnected(deep, kernel, element=i8(0.1)))
        return net.finish(net.emit(nn.Add(wide, deep, element=i8(0.2))))
    deep = conv(net, x, (8, 1, 1, 4), "expand", clamp=(0.0, 6.0))
    deep = conv(net, depthwise(net, deep, 8, clamp=(0.0, 6.0)), (4, 1, 1, 8), "project")
    return net.finish(net.emit(nn.Add(deep, x, element=i8(0.2))))
