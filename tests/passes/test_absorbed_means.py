"""``absorb-zero-points`` behind a mean, whose zero point is no whole number of the codes in front of it."""

from __future__ import annotations

import numpy as np
import pytest
from networks import Network, u8, weights

from mrqc.backends.reference import ReferenceProgram
from mrqc.calibration import signal_to_noise_db
from mrqc.ir import Module
from mrqc.ops import nn
from mrqc.passes import parse_pipeline, run_pipeline
from mrqc.targets import load_target

BEFORE = "canonicalize,symmetrize,assign-scales,fold-rounding-error,clip-weights,round-weights,quantize-biases"


def pooled(seed: int, between: str) -> Module:
    """A ReLU layer, a mean over 25 places, something that only moves codes, and a layer of positive weights."""
    net = Network()
    x = net.input((1, 5, 5, 4), 0.031, 128)
    kernel = weights((16, 1, 1, 4), seed, low=-60, high=60) + 128
    # Results around the middle of the range: a channel at 0 is rounded alike in every picture.
    stem = net.conv(x, kernel, u8(0.011, 128), u8(0.13), bias=[45000] * 16, name="stem")
    mean = net.emit(nn.AveragePool2D(stem, (5, 5), (1, 1), (0, 0, 0, 0), element=u8(0.13)))
    # Sums of weights of one sign: a zero point that is off shows.
    kernel = weights((6, 16), seed + 1, low=20)
    if between == "reshape":
        flat = net.emit(nn.Reshape(mean, (1, 16)))
        last = net.emit(nn.FullyConnected(flat, net.constant(kernel, u8(0.011)), None, element=u8(0.9)))
    else:
        moved = net.emit(nn.Transpose(mean, (0, 2, 1, 3))) if between == "transpose" else mean
        last = net.conv(moved, kernel.reshape(6, 1, 1, 16), u8(0.011), u8(0.9), name="last")
    return net.finish(last)


@pytest.mark.parametrize("between", ["reshape", "transpose", "nothing"])
@pytest.mark.parametrize("seed", range(3))
def test_absorbing_moves_no_channel(seed: int, between: str) -> None:
    target = load_target("pow2-npu")
    module = pooled(seed, between)
    centred = run_pipeline(module, parse_pipeline(BEFORE, target))
    absorbed = run_pipeline(centred, parse_pipeline("absorb-zero-points", target))
    assert any(
        value.type.quantization.zero_point
        for value in centred.graph.values()
        if value.type.quantization is not None and value.type.quantization.is_per_tensor
    )
    results: list[np.ndarray] = []
    # Pictures of one colour each, because means of noise are all alike, and so is then how they are rounded.
    random = np.random.default_rng(seed)
    noise = random.integers(-5, 6, (200, 5, 5, 4))
    codes = np.clip(random.integers(-128, 128, (200, 1, 1, 4)) + noise, -128, 127).astype(np.int8)
    for version in (centred, absorbed):
        (output,) = version.graph.outputs
        quantization = output.value.type.quantization
        assert quantization is not None
        results.append(quantization.dequantize(ReferenceProgram(version).run({"x": codes})[output.name]))
    difference = results[0] - results[1]
    scale = centred.graph.outputs[0].value.type.quantization
    assert scale is not None
    # Each mean is rounded on a grid that lies elsewhere; that is noise, and no channel moves as a whole.
    assert np.abs(difference.reshape(-1, 6).mean(axis=0)).max() <= 0.15 * scale.scale
    assert signal_to_noise_db(*results) > 30.0
