"""Inputs out of nothing: within range, reproducible, and with the structure of pictures."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from mrqc.calibration import synthetic_inputs
from mrqc.ir import FLOAT, DType, Element, GraphBuilder, Module, Output, Quantization, TensorType
from mrqc.ops import nn
from mrqc.testing import nn_modules


def module_of(*types: TensorType) -> Module:
    builder = GraphBuilder()
    inputs = [builder.add_input(f"x{index}", type_) for index, type_ in enumerate(types)]
    return Module("m", builder.finish([Output(f"y{index}", value) for index, value in enumerate(inputs)]))


def picture_module(channels: int = 3, size: int = 32) -> Module:
    return module_of(TensorType((1, size, size, channels), Element.per_tensor(DType.U8, 1.0, 0)))


@given(module=nn_modules(), count=st.integers(1, 3))
@settings(max_examples=25)
def test_every_module_gets_inputs_that_fit(module: Module, count: int) -> None:
    found = synthetic_inputs(module, count)
    assert list(found) == [value.name for value in module.graph.inputs]
    for value in module.graph.inputs:
        shape = value.type.shape or (1,)
        assert found[value.name].shape == (count * shape[0], *shape[1:])
        assert found[value.name].dtype == value.type.dtype.numpy
        assert np.isfinite(found[value.name]).all()


def test_a_sample_depends_on_its_number_and_the_seed_alone() -> None:
    module = picture_module()
    few, many = (synthetic_inputs(module, count)["x0"] for count in (2, 5))
    assert_array_equal(many[:2], few)
    assert not np.array_equal(many[0], many[1])
    assert not np.array_equal(synthetic_inputs(module, 2, seed=1)["x0"], few)
    assert_array_equal(synthetic_inputs(module, 2)["x0"], few)


def test_inputs_of_the_same_type_differ() -> None:
    type_ = TensorType((1, 8), Element.per_tensor(DType.I8, 0.1))
    found = synthetic_inputs(module_of(type_, type_), 3)
    assert not np.array_equal(found["x0"], found["x1"])


def test_pictures_are_smooth_use_the_range_and_are_mostly_grey() -> None:
    pictures = synthetic_inputs(picture_module(size=64), 48)["x0"].astype(np.float64)
    steps = np.abs(np.diff(pictures, axis=1)).mean()
    shuffled = np.random.default_rng(0).permuted(pictures, axis=1)
    assert steps < 0.4 * np.abs(np.diff(shuffled, axis=1)).mean()
    assert np.quantile(pictures, 0.01) < 30
    assert np.quantile(pictures, 0.99) > 225
    means = pictures.mean(axis=(1, 2, 3))
    assert means.std() > 10
    correlations = [np.corrcoef(picture[..., 0].ravel(), picture[..., 1].ravel())[0, 1] for picture in pictures]
    assert np.mean(correlations) > 0.7


def test_there_are_edges_too() -> None:
    pictures = synthetic_inputs(picture_module(1, 64), 32)["x0"].astype(np.float64)
    steps = np.abs(np.diff(pictures, axis=2))
    assert steps.max() > 12 * np.median(steps[steps > 0])


def test_channels_first_pictures_are_smooth_along_height_and_width() -> None:
    module = module_of(TensorType((1, 3, 32, 32), Element.per_tensor(DType.U8, 1.0, 0)))
    pictures = synthetic_inputs(module, 16)["x0"].astype(np.float64)
    shuffled = np.random.default_rng(0).permuted(pictures, axis=3)
    for axis in (2, 3):
        assert np.abs(np.diff(pictures, axis=axis)).mean() < 0.5 * np.abs(np.diff(shuffled, axis=3)).mean()


@pytest.mark.parametrize("shape", [(1, 400), (1, 100, 20)])
def test_signals_are_smooth(shape: tuple[int, ...]) -> None:
    signals = synthetic_inputs(module_of(TensorType(shape, FLOAT)), 16)["x0"].astype(np.float64)
    shuffled = np.random.default_rng(0).permuted(signals, axis=1)
    assert np.abs(np.diff(signals, axis=1)).mean() < 0.5 * np.abs(np.diff(shuffled, axis=1)).mean()


def test_a_float_input_has_the_range_that_it_is_quantized_to() -> None:
    builder = GraphBuilder()
    x = builder.add_input("x", TensorType((1, 16, 16, 3), FLOAT))
    moved = builder.emit(nn.Transpose(x, (0, 3, 1, 2)))
    y = builder.emit(nn.Quantize(moved, Element.per_tensor(DType.I8, 0.5, 28)))
    found = synthetic_inputs(Module("m", builder.finish([Output("y", y)])), 32)["x"]
    assert -78.0 <= found.min() < -60.0
    assert 40.0 < found.max() <= 49.5


def test_scales_along_an_axis_are_kept_apart() -> None:
    element = Element(DType.I8, Quantization.per_axis((0.01, 0.1, 1.0), (0, 5, -7), axis=2))
    codes = synthetic_inputs(module_of(TensorType((1, 9, 3), element)), 20)["x0"].astype(int)
    assert np.all(np.ptp(codes, axis=(0, 1)) > 100)
