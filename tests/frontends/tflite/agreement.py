"""A file, imported and run over the reals, against LiteRT."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from litert import LiteRT
from tflite_files import TfliteFile

import mrqc
from mrqc.compiler import reference
from mrqc.frontends.tflite import import_tflite
from mrqc.ir import Module, verify


def imported(file: TfliteFile, folder: Path, name: str = "model.tflite") -> Module:
    path = folder / name
    path.write_bytes(file.content())
    module = import_tflite(path)
    assert verify(module) == []
    assert mrqc.parse(str(module)) == module
    return module


def assert_agrees(file: TfliteFile, folder: Path, **inputs: np.ndarray) -> Module:
    """Assert that the module gives LiteRT's floats."""
    module = imported(file, folder)
    found = reference(module).run(inputs)
    expected = LiteRT(file.content()).run(inputs)
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert (found[name].shape, found[name].dtype) == (array.shape, array.dtype)
        np.testing.assert_allclose(found[name], array, 1e-5, 1e-5)
    return module
