"""Labels that are powers of two, and biases that have room for zero points."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import mrqc
from mrqc.ir import DType, Element, TensorType, Value
from mrqc.numerics import power_of_two_exponent
from mrqc.ops import nn


@given(scale=st.floats(1e-6, 1e3), exponent=st.integers(-20, 10))
def test_a_label_that_is_meant_to_be_a_power_of_two_is_one(scale: float, exponent: int) -> None:
    wanted = 2.0**exponent
    value = Value("x", TensorType((2,), Element.per_tensor(DType.I8, scale)))
    quantization = nn.Relabel(value, (wanted / scale,)).infer()[0].quantization
    assert quantization is not None
    assert quantization.scale == wanted
    assert power_of_two_exponent(quantization.scale) == exponent


@given(scale=st.floats(1e-6, 1e3), factor=st.floats(0.5, 2.0))
def test_any_other_label_is_the_product(scale: float, factor: float) -> None:
    value = Value("x", TensorType((2,), Element.per_tensor(DType.I8, scale)))
    quantization = nn.Relabel(value, (factor,)).infer()[0].quantization
    assert quantization is not None
    assert quantization.scale == pytest.approx(scale * factor, rel=1e-15)


@pytest.mark.parametrize("target", ["sym-npu-per-channel", "pow2-npu-per-channel", "esp32-s3", "xint8"])
def test_dead_channels_have_room_for_what_their_biases_absorb(assets: Path, target: str) -> None:
    """Channels whose weights are next to nothing: their own grid would make astronomical biases."""
    module = mrqc.load(assets / "models" / "vww_mobilenet_s8.tflite")
    assert mrqc.lower(module, target, recipe="fast").graph.outputs
