from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from PIL import Image

from mrqc.calibration import DataSet, batch_size_for, open_data
from mrqc.errors import InputError
from mrqc.ir import DType, Element, TensorType, Value
from mrqc.ir.types import FLOAT

INPUT = Value("image", TensorType((1, 4, 6, 3), Element.per_tensor(DType.U8, 1.0, 0)))


def save_images(folder: Path, names: list[str], *, size: tuple[int, int] = (6, 4), mode: str = "RGB") -> None:
    folder.mkdir(exist_ok=True)
    for index, name in enumerate(names):
        Image.new(mode, size, index * 10 if mode == "L" else (index * 10, 5, 7)).save(folder / name)


def samples(data: DataSet, size: int = 100, limit: int | None = None) -> np.ndarray:
    return np.concatenate([batch.samples for batch in data.batches(size, limit)])


def test_a_labelled_folder_has_the_samples_of_its_rows(tmp_path: Path) -> None:
    save_images(tmp_path, ["b.png", "a.png", "unlisted.png"])
    (tmp_path / "labels.csv").write_text("wnid,file,label\nx,b.png,3\ny,a.png,1\nz,b.png,2\n")
    data = open_data(tmp_path, INPUT)
    assert len(data) == 3
    assert data.labels is not None
    assert data.labels.tolist() == [3, 1, 2]
    assert samples(data)[:, 0, 0, 0].tolist() == [0, 10, 0]


def test_an_unlabelled_folder_has_its_images_in_order(tmp_path: Path) -> None:
    save_images(tmp_path, ["b.png", "a.bmp", "c.PNG"])
    (tmp_path / "notes.txt").write_text("no image")
    data = open_data(tmp_path, INPUT)
    assert data.labels is None
    assert samples(data)[:, 0, 0, 0].tolist() == [10, 0, 20]


def test_grey_and_colour_are_converted(tmp_path: Path) -> None:
    save_images(tmp_path, ["a.png", "b.png"], mode="L")
    assert_array_equal(samples(open_data(tmp_path, INPUT))[1], np.full((4, 6, 3), 10))
    grey = Value("image", TensorType((1, 1, 4, 6), FLOAT))
    assert samples(open_data(tmp_path, grey)).shape == (2, 1, 4, 6)


def test_batches_cover_the_samples_once(tmp_path: Path) -> None:
    np.savez(
        tmp_path / "d.npz", x=np.arange(7 * 72, dtype=np.uint16).astype(np.uint8).reshape(7, 4, 6, 3), y=np.arange(7)
    )
    data = open_data(tmp_path / "d.npz", INPUT)
    assert [len(batch.samples) for batch in data.batches(3)] == [3, 3, 1]
    assert [batch.labels.tolist() for batch in data.batches(3, 5) if batch.labels is not None] == [[0, 1, 2], [3, 4]]
    assert_array_equal(samples(data, 2), samples(data, 7))


def test_an_npy_has_no_labels(tmp_path: Path) -> None:
    np.save(tmp_path / "d.npy", np.ones((2, 4, 6, 3), np.float32))
    data = open_data(tmp_path / "d.npy", INPUT)
    assert data.labels is None
    assert samples(data).dtype == np.uint8


def test_the_batch_is_a_multiple_of_the_models_and_bounded_in_memory() -> None:
    assert batch_size_for(Value("x", TensorType((1, 10), FLOAT))) == 64
    assert batch_size_for(Value("x", TensorType((48, 10), FLOAT))) == 48
    assert batch_size_for(Value("x", TensorType((100, 10), FLOAT))) == 100
    assert batch_size_for(Value("x", TensorType((1, 224, 224, 3), FLOAT))) == 6
    assert batch_size_for(Value("x", TensorType((1, 4000, 4000, 3), FLOAT))) == 1


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ("", "missing: file, label"),
        ("name,label\na.png,1\n", "missing: file"),
        ("file,label\n", "lists no images"),
        ("file,label\na.png,cat\n", "line 2: the label must be a class number from 0, found 'cat'"),
        ("file,label\na.png,-1\nb.png\n", "2 problems\n.*line 2: .*found '-1'\n.*line 3: .*found ''"),
        ("file,label\n,1\n", "line 2: the file name is empty"),
    ],
)
def test_malformed_labels(tmp_path: Path, labels: str, message: str) -> None:
    save_images(tmp_path, ["a.png"])
    (tmp_path / "labels.csv").write_text(labels)
    with pytest.raises(InputError, match=message) as caught:
        open_data(tmp_path, INPUT)
    assert str(tmp_path / "labels.csv") in str(caught.value)


def test_many_wrong_labels_are_not_all_listed(tmp_path: Path) -> None:
    save_images(tmp_path, ["a.png"])
    (tmp_path / "labels.csv").write_text("file,label\n" + "a.png,x\n" * 500)
    with pytest.raises(InputError, match="and 490 more") as caught:
        open_data(tmp_path, INPUT)
    assert len(str(caught.value).splitlines()) < 15


def test_labels_that_are_not_text(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_bytes(b"file,label\n\xff\xfe,1\n")
    with pytest.raises(InputError, match="not a readable CSV file"):
        open_data(tmp_path, INPUT)


def test_an_image_of_another_size_names_file_and_sizes(tmp_path: Path) -> None:
    save_images(tmp_path, ["a.png"], size=(5, 4))
    with pytest.raises(InputError, match=r"a\.png: the image is 5x4 \(width x height\), .*'image' takes 6x4"):
        samples(open_data(tmp_path, INPUT))


def test_files_that_are_no_images(tmp_path: Path) -> None:
    save_images(tmp_path, ["a.png"])
    whole = (tmp_path / "a.png").read_bytes()
    for content in (b"", b"not an image", whole[:45]):
        (tmp_path / "a.png").write_bytes(content)
        with pytest.raises(InputError, match=r"a\.png: not a readable image"):
            samples(open_data(tmp_path, INPUT))


def test_sixteen_bits_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((4, 6), np.uint16)).save(tmp_path / "a.png")
    with pytest.raises(InputError, match="does not have 8 bits a channel"):
        samples(open_data(tmp_path, INPUT))


def test_a_listed_image_that_is_missing(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("file,label\ngone.png,1\n")
    with pytest.raises(InputError, match=r"gone\.png: no such file"):
        samples(open_data(tmp_path, INPUT))


def test_a_folder_needs_images_and_an_image_input(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no images and no labels\.csv"):
        open_data(tmp_path, INPUT)
    with pytest.raises(InputError, match="four axes and 1 or 3 channels"):
        open_data(tmp_path, Value("row", TensorType((1, 10), FLOAT)))


def write_arrays(path: Path, kind: str) -> Path:
    fitting = np.zeros((2, 4, 6, 3), np.uint8)
    contents = {
        "no x": {"images": fitting},
        "scalar": {"x": np.uint8(1)},
        "empty": {"x": fitting[:0]},
        "shape": {"x": fitting[:, :, :, :2]},
        "float labels": {"x": fitting, "y": np.zeros(2)},
        "label count": {"x": fitting, "y": np.zeros(3, int)},
    }
    np.savez(path, **contents[kind])
    return path


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("no x", "has no array 'x'"),
        ("scalar", r"x of shape \[\] holds no samples"),
        ("empty", "holds no samples"),
        ("shape", r"samples of shape \[1, 4, 6, 2\], but input 'image' takes \[N, 4, 6, 3\]"),
        ("float labels", "y must hold integers"),
        ("label count", r"2 samples but y is of shape \[3\]"),
    ],
)
def test_arrays_that_do_not_fit(tmp_path: Path, kind: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        open_data(write_arrays(tmp_path / "d.npz", kind), INPUT)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("suffix", [".npz", ".npy"])
def test_damaged_array_files_are_named(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"d{suffix}"
    if suffix == ".npz":
        np.savez_compressed(path, x=np.arange(288, dtype=np.uint8).reshape(4, 4, 6, 3))
    else:
        np.save(path, np.zeros((4, 4, 6, 3), np.uint8))
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 0xFF
    objects = tmp_path / "objects"
    with objects.open("wb") as file:
        np.save(file, np.array([{}], dtype=object), allow_pickle=True)
    broken = [b"", b"hello", whole[:20], whole[: len(whole) // 2], objects.read_bytes()]
    if suffix == ".npz":
        broken.append(bytes(flipped))
    for content in broken:
        path.write_bytes(content)
        with pytest.raises(InputError, match=f"d{suffix}"):
            open_data(path, INPUT)


def test_paths_that_are_no_data(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file or folder"):
        open_data(tmp_path / "gone.npz", INPUT)
    (tmp_path / "d.txt").write_text("")
    with pytest.raises(InputError, match=r"a folder of images, an \.npz"):
        open_data(tmp_path / "d.txt", INPUT)


@pytest.mark.assets
def test_the_real_data_sets_open(assets: Path) -> None:
    imagenet = Value("input", TensorType((1, 224, 224, 3), Element.per_tensor(DType.U8, 2**-7, 128)))
    labelled = open_data(assets / "data" / "imagenet" / "val", imagenet)
    assert len(labelled) == 400
    assert labelled.labels is not None
    assert labelled.labels[:3].tolist() == [1, 3, 6]
    assert samples(labelled, limit=2).shape == (2, 224, 224, 3)
    assert len(open_data(assets / "data" / "imagenet" / "calib", imagenet)) == 200
    words = Value("mfcc", TensorType((1, 49, 10, 1), Element.per_tensor(DType.I8, 0.5847, 83)))
    assert len(open_data(assets / "data" / "kws" / "val.npz", words)) == 400
    cifar = Value("x", TensorType((1, 3, 32, 32), FLOAT))
    assert samples(open_data(assets / "data" / "cifar10" / "calib.npz", cifar), limit=3).shape == (3, 3, 32, 32)
