"""``resize``: images of any size for an input of one size."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from PIL import Image

import mrqc
from mrqc.calibration import CalibrationSamples, open_data
from mrqc.errors import InputError
from mrqc.ir import DType, Element, Module, TensorType, Value
from mrqc.ir.graph import Graph, Output

CODES = Element.per_tensor(DType.U8, 1.0, 0)
INPUT = Value("image", TensorType((1, 4, 6, 3), CODES))
MODULE = Module("image", Graph((INPUT,), (), (Output("y", INPUT),)))


def save(path: Path, pixels: np.ndarray) -> None:
    Image.fromarray(pixels.astype(np.uint8)).save(path)


def read(folder: Path, value: Value = INPUT) -> np.ndarray:
    return np.concatenate([batch.samples for batch in open_data(folder, value, resize=True).batches(2)])


def test_a_new_pixel_is_made_of_all_that_it_covers(tmp_path: Path) -> None:
    """A board of single black and white pixels becomes grey, not one of its pixels."""
    board = (np.indices((64, 96)).sum(axis=0) % 2 * 255)[..., np.newaxis].repeat(3, axis=2)
    save(tmp_path / "a.png", board)
    found = read(tmp_path)
    assert found.shape == (1, 4, 6, 3)
    assert np.abs(found.astype(int) - 127).max() <= 2


def test_width_and_height_change_each_for_itself_and_colours_stay_apart(tmp_path: Path) -> None:
    save(tmp_path / "wide.png", np.broadcast_to([10, 100, 200], (2, 50, 3)))
    save(tmp_path / "high.png", np.broadcast_to(np.linspace(0, 255, 40)[:, np.newaxis, np.newaxis], (40, 3, 3)))
    high, wide = read(tmp_path)
    assert_array_equal(wide, np.broadcast_to([10, 100, 200], (4, 6, 3)))
    assert (np.diff(high[:, 0, 0].astype(int)) > 40).all()


def test_an_image_of_the_right_size_keeps_every_pixel_and_grey_and_channels_first_are_served(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 6, 3))
    save(tmp_path / "a.png", pixels)
    assert_array_equal(read(tmp_path)[0], pixels)
    grey = Value("image", TensorType((1, 1, 8, 5), CODES))
    assert read(tmp_path, grey).shape == (1, 1, 8, 5)


def test_the_error_without_it_names_it_and_arrays_are_no_images(tmp_path: Path) -> None:
    save(tmp_path / "a.png", np.zeros((5, 7, 3)))
    with pytest.raises(InputError, match=r"the image is 7x5 .* takes 6x4 \(--resize changes the size of images\)"):
        list(open_data(tmp_path, INPUT).batches(1))
    np.savez(tmp_path / "d.npz", x=np.zeros((2, 4, 6, 3), np.uint8), image=np.zeros((2, 4, 6, 3), np.uint8))
    message = r"d\.npz: --resize is for a folder of images"
    with pytest.raises(InputError, match=message):
        open_data(tmp_path / "d.npz", INPUT, resize=True)
    with pytest.raises(InputError, match=message):
        CalibrationSamples.open(tmp_path / "d.npz", MODULE, resize=True)


def test_statistics_are_kept_under_the_pixels_that_a_model_sees(tmp_path: Path) -> None:
    save(tmp_path / "a.png", np.random.default_rng(0).integers(0, 256, (9, 13, 3)))
    small = replace(INPUT, type=TensorType((1, 9, 13, 3), CODES))
    own = Module("image", Graph((small,), (), (Output("y", small),)))
    plain, same = (CalibrationSamples.open(tmp_path, own, resize=resize).digest for resize in (False, True))
    assert plain == same, "no pixel is another"
    assert CalibrationSamples.open(tmp_path, MODULE, resize=True).digest != plain


@pytest.mark.assets
def test_photographs_of_another_size_are_recognised(assets: Path) -> None:
    """MobileNet V1 takes 128 x 128, the photographs are 224 x 224."""
    module = mrqc.load(assets / "models" / "mobilenet_v1_025_128_qat_u8.tflite")
    (value,) = module.graph.inputs
    data = open_data(assets / "data" / "imagenet" / "val", value, resize=True)
    program, hits, count = mrqc.simulate(mrqc.lower(module, "tflite")), 0, 60
    for batch in data.batches(10, count):
        (found,) = program.run({value.name: batch.samples}).values()
        assert batch.labels is not None
        hits += int((found.argmax(axis=-1) == batch.labels + 1).sum())
    assert hits > count // 4
