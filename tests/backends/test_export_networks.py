"""Generated networks as TFLite files: LiteRT, and mrqc after reading the file again, compute the same bytes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import Phase, assume, given, settings
from litert import LiteRT

import mrqc
from mrqc.errors import TargetError
from mrqc.ir import Module
from mrqc.testing import nn_modules, random_inputs

EXAMPLES = 80


def test_litert_and_the_simulator_agree_on_what_was_written(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("written") / "network.tflite"
    compared: Counter[str] = Counter()

    @given(nn_modules())
    @settings(max_examples=EXAMPLES, phases=[Phase.reuse, Phase.generate])
    def compare(module: Module) -> None:
        compare_one(module, path)
        compared["networks"] += 1

    compare()
    assert compared["networks"] >= EXAMPLES // 2


def compare_one(module: Module, path: Path) -> None:
    try:
        path.write_bytes(mrqc.emit_tflite(module))
        lowered = mrqc.lower(mrqc.load(path), "tflite")
    except TargetError:
        assume(False)
        raise
    inputs = random_inputs(module, 1, seed=7)
    expected = LiteRT(path.read_bytes()).run(inputs)
    found = mrqc.simulate(lowered).run(inputs)
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, err_msg=str(module))
