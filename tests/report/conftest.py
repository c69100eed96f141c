"""The project's own model, measured on a few of its samples."""

from __future__ import annotations

from pathlib import Path

import pytest

from mrqc import Module, load
from mrqc.calibration import CalibrationSamples, open_data
from mrqc.report import Yardstick

SAMPLES = 40


@pytest.fixture(scope="module")
def original(digits: Path) -> Module:
    return load(digits / "digits.onnx")


@pytest.fixture(scope="module")
def yardstick(digits: Path, original: Module) -> Yardstick:
    return Yardstick(original, open_data(digits / "test.npz", original.graph.inputs[0]), limit=SAMPLES)


@pytest.fixture(scope="module")
def calibration(digits: Path, original: Module) -> CalibrationSamples:
    return CalibrationSamples.open(digits / "calib.npz", original, limit=8)
