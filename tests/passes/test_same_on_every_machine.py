"""Neither the number of cores nor the kind of processor has a say in what a model becomes."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

LOWER = """
import hashlib, sys, mrqc
module = mrqc.load(sys.argv[1])
lowered = mrqc.lower(module, sys.argv[3], sys.argv[2], recipe=sys.argv[4])
print(hashlib.sha256(str(lowered).encode()).hexdigest())
"""

# The kernels of OpenBLAS for a processor of 2004 and for one of 2013 order their sums otherwise, and so do two threads.
MACHINES = [("1", "Prescott"), ("2", "Haswell")]


def lowered_on(threads: str, processor: str, *arguments: str) -> str:
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": threads, "OPENBLAS_CORETYPE": processor}
    command = [sys.executable, "-c", LOWER, *arguments]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert len(result.stdout.strip()) == 2 * hashlib.sha256().digest_size
    return result.stdout


@pytest.mark.assets
@pytest.mark.parametrize(("target", "recipe"), [("pow2-npu", "fast"), ("pow2-npu", "default"), ("sym-npu", "default")])
def test_another_machine_gives_the_same_module(target: str, recipe: str, assets: Path) -> None:
    files = str(assets / "models" / "kws_dscnn_s8.tflite"), str(assets / "data" / "kws" / "calib.npz")
    assert len({lowered_on(*machine, *files, target, recipe) for machine in MACHINES}) == 1
