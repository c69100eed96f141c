"""``--resize`` on every command that reads images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from command_line import ROOT, CommandLine
from PIL import Image

DIGITS = ROOT / "examples" / "digits" / "digits.onnx"
TARGET = ("--target", "pow2-npu")


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """Labelled images of three sizes, none of them that of the model."""
    folder = tmp_path / "photographs"
    folder.mkdir()
    generator = np.random.default_rng(0)
    for index, size in enumerate(((20, 30), (8, 9), (3, 5))):
        Image.fromarray(generator.integers(0, 256, size).astype(np.uint8)).save(folder / f"{index}.png")
    (folder / "labels.csv").write_text("file,label\n0.png,1\n1.png,2\n2.png,3\n")
    return folder


def commands(folder: Path, tmp_path: Path) -> dict[str, tuple[object, ...]]:
    np.save(tmp_path / "x.npy", np.zeros((1, 1, 8, 8), np.float32))
    return {
        "lower": ("lower", DIGITS, *TARGET, "--calib", folder, "-o", tmp_path / "k.mrq"),
        "verify": ("verify", DIGITS, *TARGET, "--data", folder, "--samples", 2),
        "evaluate": ("evaluate", DIGITS, *TARGET, "--data", folder, "--calib", folder),
        "run": ("run", DIGITS, *TARGET, "--calib", folder, "--input", tmp_path / "x.npy"),
        "ablate": ("ablate", DIGITS, *TARGET, "--data", folder),
    }


@pytest.mark.parametrize("command", ["lower", "verify", "evaluate", "run", "ablate"])
def test_images_of_another_size_are_an_error_that_names_the_option(
    mrqc: CommandLine, photographs: Path, tmp_path: Path, command: str
) -> None:
    arguments = commands(photographs, tmp_path)[command]
    refused = mrqc(*arguments)
    assert refused.code == 1
    assert "--resize changes the size of images" in refused.err
    result = mrqc(*arguments, "--resize")
    assert result.code == 0, result.err
