from __future__ import annotations

import itertools
import os
from pathlib import Path

import numpy as np
import pytest

from mrqc.calibration import ArrayCache

ARRAYS = {"a/b": np.arange(5), "c": np.eye(2, dtype=np.float32)}


@pytest.mark.parametrize(
    ("environment", "folder"),
    [
        ({"MRQC_CACHE": "off", "HOME": "/home/u"}, None),
        ({"MRQC_CACHE": "/x/y", "XDG_CACHE_HOME": "/c", "HOME": "/home/u"}, Path("/x/y")),
        ({"XDG_CACHE_HOME": "/c", "HOME": "/home/u"}, Path("/c/mrqc")),
        ({"XDG_CACHE_HOME": "relative", "HOME": "/home/u"}, Path("/home/u/.cache/mrqc")),
        ({"MRQC_CACHE": "", "XDG_CACHE_HOME": "", "HOME": "/home/u"}, Path("/home/u/.cache/mrqc")),
        ({}, None),
    ],
)
def test_the_environment_says_where_it_is(environment: dict[str, str], folder: Path | None) -> None:
    assert ArrayCache.from_environment(environment).folder == folder


def test_tests_have_none() -> None:
    assert ArrayCache.from_environment().folder is None


def test_what_is_stored_comes_back(tmp_path: Path) -> None:
    cache = ArrayCache(tmp_path / "deep" / "folder")
    assert cache.load("key") is None
    cache.store("key", ARRAYS)
    found = cache.load("key")
    assert found is not None
    assert found.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert found[name].dtype == array.dtype
        assert np.array_equal(found[name], array)
    assert cache.load("another key") is None
    assert [path.name for path in (tmp_path / "deep" / "folder").iterdir()] == ["key.npz"]


def test_nothing_is_kept_without_a_folder() -> None:
    cache = ArrayCache(None)
    cache.store("key", ARRAYS)
    assert cache.load("key") is None


@pytest.mark.parametrize("kept", [0, 10, 0.5, 0.98])
def test_a_damaged_file_is_not_there(tmp_path: Path, kept: float) -> None:
    cache = ArrayCache(tmp_path)
    cache.store("key", ARRAYS)
    path = tmp_path / "key.npz"
    content = path.read_bytes()
    path.write_bytes(content[: kept if isinstance(kept, int) else int(kept * len(content))])
    assert cache.load("key") is None
    cache.store("key", ARRAYS)
    assert cache.load("key") is not None


def test_every_flipped_byte_is_noticed_or_harmless(tmp_path: Path) -> None:
    cache = ArrayCache(tmp_path)
    cache.store("key", {"a": np.arange(200) % 7})
    path = tmp_path / "key.npz"
    content = path.read_bytes()
    for position, bit in itertools.product(range(len(content)), (0x01, 0x40)):
        path.write_bytes(content[:position] + bytes([content[position] ^ bit]) + content[position + 1 :])
        found = cache.load("key")
        assert found is None or "a" not in found or np.array_equal(found["a"], np.arange(200) % 7)


def test_a_folder_that_cannot_be_used_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        cache = ArrayCache(folder)
        cache.store("key", ARRAYS)
        assert cache.load("key") is None
    assert (tmp_path / "file").read_text() == "no folder"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_no_error(tmp_path: Path) -> None:
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o500)
    cache = ArrayCache(folder)
    cache.store("key", ARRAYS)
    assert cache.load("key") is None
