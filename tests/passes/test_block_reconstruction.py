"""Rounding the layers of a block together: which blocks there are, the gradient, and what comes of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from networks import Network, i8, weights

from mrqc.ir import Module, Value
from mrqc.ops import nn
from mrqc.passes.requantize.block_crops import Places, areas_of
from mrqc.passes.requantize.block_network import BlockNetwork
from mrqc.passes.requantize.block_reconstruction import (
    BlockReconstruction,
    Crops,
    LayerCodes,
    LayerVariables,
    Loss,
)
from mrqc.passes.requantize.blocks import Block, blocks_of

LIMITS = (-127, 127)
WIDTH = 1e-6
"""Of a finite difference."""


def conv(net: Network, x: Value, shape: tuple[int, int, int, int], name: str, **geometry: Any) -> Value:
    return net.conv(x, weights(shape, len(name)), i8(0.01), i8(0.1), name=name, **geometry)


def chain(count: int) -> Module:
    """A stem, so many depthwise and pointwise layers, and a fully connected one."""
    net = Network()
    x = conv(net, net.input((1, 9, 9, 3), 0.02, 128), (4, 3, 3, 3), "stem", padding=(0, 0, 1, 1), strides=(2, 2))
    for index in range(count):
        x = net.emit(nn.Pad(x, (0, 0, 1, 1, 1, 1, 0, 0)), f"padded{index}")
        x = conv(net, x, (4, 3, 3, 1), f"depthwise{index}", groups=4)
        x = conv(net, x, (4, 1, 1, 4), f"pointwise{index}")
    x = net.emit(nn.Reshape(x, (1, x.type.shape[1] * x.type.shape[2] * 4)), "flat")
    kernel = net.constant(weights((5, x.type.shape[1]), 9), i8(0.01))
    return net.finish(net.emit(nn.FullyConnected(x, kernel, element=i8(0.1)), "logits"))


def residual(kind: str) -> Module:
    """One block that is nothing but that: what a module consists of between its input and its output."""
    net = Network()
    x = net.input((1, 7, 6, 4), 0.02, 128)
    if kind == "strided":
        deep = conv(net, x, (6, 3, 3, 4), "one", padding=(1, 0, 1, 1), strides=(2, 2), clamp=(0.0, 9.0))
        deep = conv(net, deep, (6, 3, 3, 3), "two", padding=(1, 1, 1, 1), groups=2)
        short = conv(net, x, (6, 1, 1, 4), "short", strides=(2, 2))
        return net.finish(net.emit(nn.Add(short, deep, (0.0, 9.0), i8(0.2)), "sum"))
    if kind == "dilated":
        deep = conv(net, x, (8, 2, 3, 1), "one", padding=(1, 2, 1, 2), dilations=(2, 2), groups=4)
        deep = conv(net, deep, (4, 1, 1, 2), "two", groups=4)
        return net.finish(net.emit(nn.Add(x, deep, element=i8(0.2)), "sum"))
    deep = conv(net, x, (8, 1, 1, 4), "expand", clamp=(0.0, 6.0))
    padded = net.emit(nn.Pad(deep, (0, 0, 1, 1, 1, 1, 0, 0)), "padded")
    deep = conv(net, padded, (8, 3, 3, 1), "depthwise", groups=8, clamp=(0.0, 6.0))
    deep = conv(net, deep, (4, 1, 1, 8), "project")
    return net.finish(net.emit(nn.Add(deep, x, element=i8(0.2)), "sum"))


def names(block: Block) -> list[str]:
    return [statement.result.name for statement in block.statements]


@pytest.mark.parametrize("kind", ["strided", "dilated", "inverted"])
def test_a_residual_block_is_a_block(kind: str) -> None:
    (block,) = blocks_of(residual(kind))
    assert block.output.name == "sum"
    assert block.input.name == "x"


def small(block: Block, seed: int, loss: Loss) -> tuple[BlockReconstruction, Crops, dict[str, LayerVariables]]:
    """In double precision, without rounding; every number is drawn."""
    areas = areas_of(block)
    assert areas is not None
    draw = np.random.default_rng(seed)
    places = Places.spread((3, *block.output.type.shape[1:]), 48)
    samples = draw.integers(0, 255, (3, *block.input.type.shape[1:]))
    network = BlockNetwork(block, areas, rounds=False)
    inputs = places.crops(samples, areas[block.input], block.input.type).astype(float)
    wanted = places.crops(
        draw.integers(-99, 99, (3, *block.output.type.shape[1:])), areas[block.output], block.output.type
    )
    codes: dict[str, LayerCodes] = {}
    variables: dict[str, LayerVariables] = {}
    for layer in block.layers:
        shape = layer.op.operands[1].type.shape
        shape = shape if len(shape) == 4 else (shape[0], 1, 1, shape[1])
        codes[layer.result.name] = LayerCodes(
            draw.integers(-3, 3, shape).astype(float),
            draw.integers(0, 1, shape, endpoint=True).astype(float),
            np.exp(draw.normal(size=(shape[0], 1, 1, 1)) - 2),
            draw.normal(size=shape[0]),
            0.1,
        )
        variables[layer.result.name] = LayerVariables(draw.normal(scale=2, size=shape), draw.normal(size=shape[0]))
    crops = Crops(inputs, wanted.astype(float), network.masks(places))
    return BlockReconstruction(network, codes, loss, 0.7), crops, variables


def is_smooth(task: BlockReconstruction, crops: Crops, variables: Mapping[str, LayerVariables]) -> bool:
    """Whether nothing is at a limit of a clamp, no error is none and no h is at 0, a half or 1."""
    parameters = {name: task.layers[name].parameters(mine) for name, mine in variables.items()}
    run = task.network.forward(crops.inputs, crops.masks, parameters)
    corners = [np.abs(run.values[task.network.block.output] - crops.wanted).min()]
    for mine in variables.values():
        sigmoid = 1 / (1 + np.exp(-mine.v))
        corners += [np.abs(1.2 * sigmoid - 0.1 - corner).min() for corner in (0.0, 0.5, 1.0)]
    return min(corners) > 1e-5


@given(
    st.sampled_from(["strided", "dilated", "inverted"]),
    st.integers(0, 2**32 - 1),
    st.sampled_from(["mse", "mae"]),
    st.sampled_from([0.0, 3.0]),
    st.floats(2.0, 20.0),
)
@settings(max_examples=40, deadline=None)
def test_the_gradient_is_that_of_the_loss(kind: str, seed: int, loss: Loss, strength: float, steepness: float) -> None:
    (block,) = blocks_of(residual(kind))
    task, crops, variables = small(block, seed, loss)
    assume(is_smooth(task, crops, variables))
    found = task.gradient(crops, variables, strength, steepness)
    draw = np.random.default_rng(seed)
    for name, mine in variables.items():
        for part in ("v", "bias"):
            array, gradient = getattr(mine, part), getattr(found[name], part)
            for flat in draw.permutation(array.size)[:6]:
                index = np.unravel_index(flat, array.shape)
                before = array[index]
                ends: list[float] = []
                for sign in (1, -1):
                    array[index] = before + sign * WIDTH
                    ends.append(task.value(crops, variables, strength, steepness))
                array[index] = before
                assert gradient[index] == pytest.approx((ends[0] - ends[1]) / (2 * WIDTH), rel=1e-3, abs=1e-3)
