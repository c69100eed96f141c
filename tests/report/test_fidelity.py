from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mrqc.calibration import DataSet, open_data
from mrqc.ir import FLOAT, Data, GraphBuilder, Module, Output, TensorType
from mrqc.ops import nn
from mrqc.report import Yardstick

ROWS = [[1.0, 2.0, 0.5], [0.25, 0.0, 3.0], [-2.0, 0.75, 1.0], [4.0, 1.0, 1.5]]
LABELS = [1, 2, 0, 0]


def model(offset: list[float], softmax: bool = True, batch: int = 1) -> Module:
    """Scores plus an offset for each class."""
    builder = GraphBuilder()
    x = builder.add_input("x", TensorType((batch, 3), FLOAT))
    constant = builder.emit(nn.Constant(Data(np.asarray(offset, np.float32)), FLOAT))
    y = builder.emit(nn.Add(x, constant))
    return Module("m", builder.finish([Output("y", builder.emit(nn.Softmax(y)) if softmax else y)]))


def data_of(path: Path, module: Module, labels: list[int] | None = None) -> DataSet:
    arrays = {"x": np.asarray(ROWS, np.float32)} | ({} if labels is None else {"y": np.asarray(labels)})
    np.savez(path / "d.npz", **arrays)
    return open_data(path / "d.npz", module.graph.inputs[0])


def test_a_model_is_not_away_from_itself(tmp_path: Path) -> None:
    module = model([0.0, 0.0, 0.0])
    found = Yardstick(module, data_of(tmp_path, module, LABELS)).measure(module)
    assert (found.top1, found.lost, found.gained, found.agreement, found.kl) == (0.75, 0, 0, 1.0, 0.0)
    assert found.sqnr_db is found.logits_sqnr_db is None


def test_what_a_softmax_does_not_see_is_no_noise(tmp_path: Path) -> None:
    module = model([0.0, 0.0, 0.0])
    yardstick = Yardstick(module, data_of(tmp_path, module, LABELS))
    found = yardstick.measure(model([5.0, 5.0, 5.0]))
    assert found.kl == pytest.approx(0.0, abs=1e-12)
    assert found.logits_sqnr_db is None or found.logits_sqnr_db > 200
    plain = model([0.0, 0.0, 0.0], softmax=False)
    shifted = Yardstick(plain, data_of(tmp_path, plain, LABELS)).measure(model([5.0, 5.0, 5.0], softmax=False))
    assert shifted.logits_sqnr_db == shifted.sqnr_db == pytest.approx(10 * np.log10(np.square(ROWS).sum() / (25 * 12)))


def test_lost_and_gained(tmp_path: Path) -> None:
    module = model([0.0, 0.0, 0.0])
    found = Yardstick(module, data_of(tmp_path, module, LABELS)).measure(model([3.5, 0.0, 0.0]))
    # The first answer is 0 everywhere: rows 0 and 1 are lost, row 2 is gained.
    assert (found.lost, found.gained) == (2, 1)
    assert found.top1 == 0.5
    assert found.agreement == 0.25


@pytest.mark.parametrize("batch", [1, 2, 3])
def test_neither_batch_nor_limit_matter_but_for_what_is_counted(tmp_path: Path, batch: int) -> None:
    module = model([0.0, 0.0, 0.0])
    other = model([1.0, -1.0, 0.5], batch=batch)
    found = Yardstick(module, data_of(tmp_path, module, LABELS), limit=3).measure(other)
    plain = Yardstick(module, data_of(tmp_path, module, LABELS), limit=3).measure(model([1.0, -1.0, 0.5]))
    assert found.kl == pytest.approx(plain.kl)
    assert (found.top1, found.lost, found.gained) == (plain.top1, plain.lost, plain.gained)


@pytest.mark.parametrize(
    ("softmax", "labels", "is_classifier"), [(True, None, True), (False, LABELS, True), (False, None, False)]
)
def test_who_gives_class_scores(tmp_path: Path, softmax: bool, labels: list[int] | None, is_classifier: bool) -> None:
    module = model([0.0, 0.0, 0.0], softmax)
    found = Yardstick(module, data_of(tmp_path, module, labels)).measure(model([0.1, 0.0, 0.0], softmax))
    assert (found.kl is not None) == (found.agreement is not None) == is_classifier
    assert (found.top1 is not None) == (labels is not None)
    assert found.sqnr_db is not None
