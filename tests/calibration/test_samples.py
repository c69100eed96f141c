"""Samples of a calibration: from files, arrays and out of nothing, in whatever form a module takes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from numpy.typing import NDArray
from PIL import Image

from mrqc.backends.reference import ReferenceProgram
from mrqc.calibration import DEFAULT_LIMIT, CalibrationSamples, PixelNormalization, Teacher, open_data, synthetic_inputs
from mrqc.calibration import samples as implementation
from mrqc.calibration.samples import calibration_samples
from mrqc.errors import InputError, UsageError
from mrqc.ir import FLOAT, DType, Element, GraphBuilder, Module, Output, Quantization, TensorType
from mrqc.testing import nn_modules

CODES = Element.per_tensor(DType.U8, 0.5, 4)


def module_of(**types: TensorType) -> Module:
    builder = GraphBuilder()
    inputs = [builder.add_input(name, type_) for name, type_ in types.items()]
    outputs = [Output(f"y{index}", value) for index, value in enumerate(inputs)]
    return Module("m", builder.finish(outputs))


def all_of(samples: CalibrationSamples, name: str = "x") -> NDArray[Any]:
    return samples.read(0, len(samples))[name]


ROW = module_of(x=TensorType((1, 6), CODES))
PAIR = module_of(a=TensorType((1, 2), CODES), b=TensorType((3, 4), FLOAT))


def codes(count: int) -> NDArray[np.uint8]:
    return (np.arange(count * 6) % 251).astype(np.uint8).reshape(count, 6)


@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_files_are_read_evenly_up_to_the_limit(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"data.{suffix}"
    if suffix == "npy":
        np.save(path, codes(300))
    else:
        np.savez(path, x=codes(300), y=np.arange(300))
    samples = CalibrationSamples.open(path, ROW)
    assert len(samples) == DEFAULT_LIMIT
    assert_array_equal(all_of(samples), codes(300)[np.arange(128) * 300 // 128])
    assert_array_equal(all_of(CalibrationSamples.open(path, ROW, limit=3)), codes(300)[[0, 100, 200]])
    assert len(CalibrationSamples.open(path, ROW, limit=None)) == 300
    assert len(CalibrationSamples.open(path, ROW, limit=1000)) == 300
    assert len(CalibrationSamples.of(codes(300), ROW)) == DEFAULT_LIMIT
    assert len(CalibrationSamples.of(codes(300), ROW, limit=None)) == 300
    with pytest.raises(UsageError, match="at least 1, found 0"):
        CalibrationSamples.open(path, ROW, limit=0)


def test_folders_of_images_and_normalizations(tmp_path: Path) -> None:
    for index in range(5):
        Image.new("RGB", (4, 4), (index, 10, 20)).save(tmp_path / f"{index}.png")
    module = module_of(x=TensorType((1, 4, 4, 3), CODES))
    assert all_of(CalibrationSamples.open(tmp_path, module))[:, 0, 0, 0].tolist() == [0, 1, 2, 3, 4]
    assert all_of(CalibrationSamples.open(tmp_path, module, limit=2))[:, 0, 0, 0].tolist() == [0, 2]
    halved = CalibrationSamples.open(tmp_path, module, PixelNormalization((0.0,), (2.0,)))
    assert all_of(halved)[3, 0, 0].tolist() == [7, 14, 24]


def test_several_inputs_come_from_an_archive_by_name(tmp_path: Path) -> None:
    a, b = np.arange(4, dtype=np.uint8).reshape(2, 2), np.arange(24.0).reshape(6, 4)
    np.savez(tmp_path / "d.npz", a=a, b=b, labels=np.arange(2))
    for samples in (CalibrationSamples.open(tmp_path / "d.npz", PAIR), CalibrationSamples.of({"a": a, "b": b}, PAIR)):
        assert len(samples) == 2
        assert_array_equal(samples.read(1, 2)["a"], a[1:])
        assert_array_equal(samples.read(1, 2)["b"], b[3:])
        assert samples.read(0, 1)["b"].dtype == np.float32
    np.savez(tmp_path / "a.npz", a=a)
    with pytest.raises(InputError, match="input 'b' is missing"):
        CalibrationSamples.open(tmp_path / "a.npz", PAIR)
    with pytest.raises(InputError, match="images are for a model with one input"):
        CalibrationSamples.open(tmp_path, PAIR)


def test_the_only_input_may_go_by_its_name(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", image=codes(3), x=np.zeros(5))
    samples = CalibrationSamples.open(tmp_path / "d.npz", module_of(image=TensorType((1, 6), CODES)))
    assert_array_equal(all_of(samples, "image"), codes(3))


@pytest.mark.parametrize(
    ("given_", "message"),
    [
        ({"x": codes(2), "z": codes(2)}, "there is no input 'z'"),
        ({}, "input 'x' is missing"),
        (codes(2)[:, :5], r"samples of shape \[1, 5\]"),
        (codes(2).astype(np.int64), "samples of int64"),
        (np.full((2, 6), np.nan), "not a number"),
        (codes(0), "input 'x' has no samples"),
        ("nowhere.npz", "no such file"),
        (Path("nowhere"), "no such file or folder"),
    ],
)
def test_data_that_does_not_fit_is_refused(given_: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        calibration_samples(given_, ROW)


def test_every_problem_is_named_at_once() -> None:
    with pytest.raises(InputError) as caught:
        CalibrationSamples.of({"a": np.zeros((2, 3)), "b": np.zeros((3, 5)), "c": codes(1)}, PAIR)
    assert len(caught.value.diagnostics) == 3
    with pytest.raises(InputError, match="same number of samples, 'a' has 1, 'b' has 2"):
        CalibrationSamples.of({"a": np.zeros((1, 2)), "b": np.zeros((6, 4))}, PAIR)
    with pytest.raises(InputError, match="one array was given for the inputs 'a', 'b'"):
        CalibrationSamples.of(codes(1), PAIR)


def test_samples_for_other_inputs_are_refused() -> None:
    samples = CalibrationSamples.of(codes(3), ROW)
    assert calibration_samples(samples, ROW) is samples
    assert calibration_samples(None, ROW) is None
    with pytest.raises(InputError, match="other inputs"):
        calibration_samples(samples, PAIR)


def test_a_data_set_that_is_open_already_will_do(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", x=codes(5), y=np.arange(5))
    data = open_data(tmp_path / "d.npz", ROW.graph.inputs[0])
    samples = calibration_samples(data, ROW)
    assert samples is not None
    assert samples.digest == CalibrationSamples.of(codes(5), ROW).digest
    with pytest.raises(InputError, match="opened for %x"):
        calibration_samples(data, module_of(z=TensorType((1, 6), CODES)))
    with pytest.raises(InputError, match="model with one input"):
        calibration_samples(data, PAIR)


def test_a_batch_of_the_module_is_filled_from_the_beginning() -> None:
    module = module_of(x=TensorType((4, 6), CODES))
    samples = CalibrationSamples.of(codes(6), module)
    assert len(samples) == 2
    assert_array_equal(all_of(samples), codes(6)[[0, 1, 2, 3, 4, 5, 0, 1]])
    assert all_of(CalibrationSamples.of(codes(1), module)).shape == (4, 6)


def test_a_module_with_another_scale_gets_the_nearest_codes() -> None:
    samples = CalibrationSamples.of(codes(40), ROW)
    reals = (codes(40).astype(float) - 4) * 0.5
    same, other, floats = (
        np.concatenate([batch["x"] for batch in samples.batches_for(module_of(x=TensorType((1, 6), element)), 7)])
        for element in (CODES, Element.per_tensor(DType.I8, 0.75, -3), FLOAT)
    )
    assert_array_equal(same, codes(40))
    assert other.dtype == np.int8
    assert_array_equal(other, np.clip(np.rint(reals / 0.75) - 3, -128, 127))
    assert floats.dtype == np.float64
    assert_array_equal(floats, reals)


@given(module=nn_modules(), size=st.integers(1, 4), kept=st.sampled_from([0, 1 << 30]))
@settings(max_examples=25)
def test_synthetic_samples_run_in_every_module_whatever_the_batch(module: Module, size: int, kept: int) -> None:
    samples = CalibrationSamples.synthetic(module, 5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(implementation, "_KEPT_BYTES", kept)
        batches = list(samples.batches_for(module, size))
        assert samples.digest == CalibrationSamples.synthetic(module, 5).digest
    expected = synthetic_inputs(module, 5)
    program = ReferenceProgram(module)
    for batch in batches:
        program.run(batch)
    for value in module.graph.inputs:
        together = np.concatenate([np.atleast_1d(batch[value.name]) for batch in batches])
        assert_array_equal(together, expected[value.name])


def test_scalars_come_one_at_a_time() -> None:
    module = module_of(gain=TensorType((), FLOAT), code=TensorType((), CODES))
    samples = CalibrationSamples.of(
        {"gain": np.asarray([0.5, 1.5, 2.5]), "code": np.asarray([1, 2, 3], np.uint8)}, module
    )
    batches = list(samples.batches_for(module, 2))
    assert [(float(batch["gain"]), int(batch["code"])) for batch in batches] == [(0.5, 1), (1.5, 2), (2.5, 3)]
    statistics = Teacher(module, samples).statistics
    assert statistics["gain"].mean.tolist() == [1.5]
    assert statistics["code"].mean.tolist() == [-1.0]
    single = CalibrationSamples.of({"gain": 3.0, "code": np.uint8(7)}, module)
    assert Teacher(module, single).statistics["gain"].real_range == (3.0, 3.0)


def test_the_digest_knows_content_dtype_and_scale() -> None:
    digest = CalibrationSamples.of(codes(9), ROW).digest
    assert CalibrationSamples.of(codes(9).copy(), ROW).digest == digest
    changed = codes(9)
    changed[8, 5] += 1
    finer = module_of(x=TensorType((1, 6), Element.per_tensor(DType.U8, 0.25, 4)))
    along = module_of(x=TensorType((1, 6), Element(DType.U8, Quantization.per_axis((0.5,) * 6, (4,) * 6, axis=1))))
    others = [
        CalibrationSamples.of(changed, ROW),
        CalibrationSamples.of(codes(8), ROW),
        CalibrationSamples.of(codes(9), finer),
        CalibrationSamples.of(codes(9), along),
        CalibrationSamples.of(codes(9), module_of(z=TensorType((1, 6), CODES))),
        CalibrationSamples.of(codes(9).reshape(9, 6), module_of(x=TensorType((3, 6), CODES))),
    ]
    assert len({digest, *(other.digest for other in others)}) == 7


def test_real_data_fits_the_real_models(assets: Path) -> None:
    cifar = module_of(x=TensorType((1, 3, 32, 32), FLOAT))
    assert all_of(CalibrationSamples.open(assets / "data" / "cifar10" / "calib.npz", cifar)).shape == (128, 3, 32, 32)
    imagenet = module_of(x=TensorType((1, 224, 224, 3), CODES))
    images = CalibrationSamples.open(assets / "data" / "imagenet" / "calib", imagenet, limit=4)
    assert all_of(images).shape == (4, 224, 224, 3)
