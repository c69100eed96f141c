"""Generated QDQ models: import and folding against ONNX over the reals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from numpy.typing import NDArray
from onnx import ModelProto
from onnx_models import run_in_double_precision
from qdq_strategies import qdq_models

from mrqc.backends.reference import ReferenceProgram
from mrqc.frontends.onnx import import_onnx
from mrqc.ir import verify
from mrqc.passes.fold_qdq import FoldQdq


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(drawn=qdq_models())
def test_import_and_folding_keep_every_code(drawn: tuple[ModelProto, dict[str, NDArray[Any]]], tmp_path: Path) -> None:
    model, inputs = drawn
    path = tmp_path / "generated.onnx"
    path.write_bytes(model.SerializeToString())
    raw = import_onnx(path)
    folded = FoldQdq()(raw)
    assert verify(raw) == []
    assert verify(folded) == []
    (wanted,) = run_in_double_precision(model, inputs).values()
    for module in (raw, folded):
        (found,) = ReferenceProgram(module).run(inputs).values()
        if wanted.dtype.kind == "f":
            np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)
        else:
            np.testing.assert_array_equal(found, wanted)
