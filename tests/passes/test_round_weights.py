"""Which layers ``round-weights`` solves for, and on which samples."""

from __future__ import annotations

import numpy as np
import pytest
from networks import residual_network

import mrqc
from mrqc.calibration import CalibrationSamples
from mrqc.ir import Module
from mrqc.ops import nn

FAN_IN = (4, 8, 9, 16, 32)
"""Of the layers of ``residual_network``, in order."""


def codes_of(module: Module) -> list[list[int]]:
    """The weights of every layer, in order."""
    constants = {s.result.name: s.op.value.array for s in module.graph.statements if isinstance(s.op, nn.Constant)}
    layers = [s.op for s in module.graph.statements if isinstance(s.op, nn.Conv2D | nn.FullyConnected)]
    assert tuple(constants[op.weight.name][0].size for op in layers) == FAN_IN
    return [constants[op.weight.name].ravel().tolist() for op in layers]


def rounded(options: str) -> list[list[int]]:
    module = residual_network()
    array = np.random.default_rng(3).integers(0, 256, (24, 8, 8, 4)).astype(np.uint8)
    passes = f"symmetrize,assign-scales{{samples=false}},fold-rounding-error,round-weights{{{options}}}"
    return codes_of(mrqc.requantize(module, "pow2-npu", CalibrationSamples.of(array, module), passes=passes))


@pytest.mark.parametrize("fan_in", [0, 3, 4, 8, 9, 31, 32])
def test_layers_with_more_weights_for_a_channel_keep_the_nearest_codes(fan_in: int) -> None:
    nearest, everywhere = rounded("method=nearest"), rounded("method=closed-form")
    limited = rounded(f"method=closed-form fan-in={fan_in}")
    may_change = [not fan_in or count <= fan_in for count in FAN_IN]
    solvable = [mine != codes for mine, codes in zip(everywhere, nearest, strict=True)]
    assert sum(solvable) >= 3
    changed = [mine != codes for mine, codes in zip(limited, nearest, strict=True)]
    assert changed == [may and can for may, can in zip(may_change, solvable, strict=True)]
    # What a layer sees depends on those before it alone, and these are in order of their weights.
    same = [mine == codes for mine, codes in zip(limited, everywhere, strict=True)]
    assert all(same[: sum(may_change)])


def test_nearest_codes_need_no_samples_and_solved_ones_do() -> None:
    assert rounded("method=nearest limit=5") == rounded("method=nearest")
    assert rounded("method=closed-form limit=24") == rounded("method=closed-form")
    assert rounded("method=closed-form limit=2") != rounded("method=closed-form")
