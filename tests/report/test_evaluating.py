from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from mrqc.calibration import DataSet, open_data
from mrqc.errors import InputError
from mrqc.ir import FLOAT, DType, Element, GraphBuilder, Module, Output, TensorType
from mrqc.ops import int as int_ops
from mrqc.ops import nn
from mrqc.report import Evaluation, evaluate


def original_model(classes: int = 3, batch: int = 1) -> Module:
    builder = GraphBuilder()
    x = builder.add_input("x", TensorType((batch, classes), FLOAT))
    return Module("original", builder.finish([Output("y", builder.emit(nn.Softmax(x)))]))


def coarse_model(classes: int = 3, batch: int = 1, scale: float = 1.0) -> Module:
    """What is left of the scores in steps of ``scale``."""
    builder = GraphBuilder()
    x = builder.add_input("x", TensorType((batch, classes), Element.per_tensor(DType.I8, scale)))
    return Module("lowered", builder.finish([Output("y", builder.emit(int_ops.Clamp(x, -128, 127)))]))


def data_of(path: Path, module: Module, x: object, y: object = None) -> DataSet:
    arrays = {"x": np.asarray(x, np.float32)} | ({} if y is None else {"y": np.asarray(y)})
    np.savez(path / "d.npz", **arrays)
    return open_data(path / "d.npz", module.graph.inputs[0])


# Rounded to integers: a tie that class 0 wins, the same answer, a tie that class 1 wins.
ROWS = [[1.1, 1.4, 0.0], [0.0, 0.1, 3.0], [-2.0, 0.8, 1.2]]


def softmax(row: list[float]) -> list[float]:
    powers = [math.exp(x) for x in row]
    return [power / sum(powers) for power in powers]


def test_every_number_of_an_evaluation(tmp_path: Path) -> None:
    module = original_model()
    found = evaluate(module, coarse_model(), data_of(tmp_path, module, ROWS, [0, 2, 2]))
    rounded = [[round(x) for x in row] for row in ROWS]
    divergences = [
        sum(p * math.log(p / q) for p, q in zip(softmax(row), softmax(other), strict=True))
        for row, other in zip(ROWS, rounded, strict=True)
    ]
    assert found.images == 3
    assert found.top1 == pytest.approx(2 / 3)
    assert found.top1_original == pytest.approx(2 / 3)
    assert found.top1_loss == 0
    assert found.agreement == pytest.approx(1 / 3)
    assert (found.lost, found.gained) == (1, 1)
    assert found.kl == pytest.approx(sum(divergences) / 3, rel=1e-6)
    assert found.top5 is found.top5_original is found.top5_loss is None
    assert found.images_per_second > 0


def test_without_labels_only_the_models_are_compared(tmp_path: Path) -> None:
    module = original_model()
    found = evaluate(module, coarse_model(), data_of(tmp_path, module, ROWS)).as_json()
    missing = {key for key, number in found.items() if number is None}
    assert missing == {
        "top1",
        "top1_original",
        "top1_loss",
        "top5",
        "top5_original",
        "top5_loss",
        "lost",
        "gained",
    }


def test_the_original_alone(tmp_path: Path) -> None:
    module = original_model()
    found = evaluate(module, None, data_of(tmp_path, module, ROWS, [0, 2, 2])).as_json()
    measured = {key for key, number in found.items() if number is not None}
    assert measured == {"images", "top1_original", "images_per_second"}
    assert found["top1_original"] == pytest.approx(2 / 3)


def test_top5_needs_more_than_five_classes(tmp_path: Path) -> None:
    module = original_model(classes=7)
    data = data_of(tmp_path, module, [[7, 6, 5, 4, 3, 2, 1]] * 2, [4, 5])
    found = evaluate(module, coarse_model(classes=7), data)
    assert (found.top1, found.top5, found.top5_original, found.top5_loss) == (0, 0.5, 0.5, 0)


def test_the_result_does_not_depend_on_the_batches(tmp_path: Path) -> None:
    generator = np.random.default_rng(5)
    x, y = generator.normal(0, 3, (150, 4)), generator.integers(0, 4, 150)
    results: list[Evaluation] = []
    for batch in (1, 7, 64):
        module = original_model(4, batch)
        results.append(evaluate(module, coarse_model(4, batch), data_of(tmp_path, module, x, y)))
    first = results[0].as_json()
    assert first["images"] == 150
    assert 0 < results[0].top1_loss < 1
    for other in results[1:]:
        for key in ("top1", "top1_original", "top1_loss", "agreement", "kl", "lost", "gained"):
            assert other.as_json()[key] == pytest.approx(first[key], rel=1e-12), key


def test_a_limit_takes_the_first_samples_and_progress_is_told(tmp_path: Path) -> None:
    module = original_model()
    told: list[tuple[int, int]] = []
    data = data_of(tmp_path, module, ROWS * 30, [0, 2, 2] * 30)
    found = evaluate(module, coarse_model(), data, limit=70, progress=lambda done, total: told.append((done, total)))
    assert found.images == 70
    assert told == [(64, 70), (70, 70)]


def test_labels_without_the_background_class_are_shifted_and_it_is_said(tmp_path: Path) -> None:
    module, lowered = original_model(1001), coarse_model(1001)
    scores = np.zeros((2, 1001))
    scores[0, 1], scores[1, 1000] = 5, 5
    data = data_of(tmp_path, module, scores, [0, 999])
    remarks: list[str] = []
    assert evaluate(module, lowered, data, remark=remarks.append).top1 == 1
    assert "class = label + 1" in remarks[0]
    remarks.clear()
    assert evaluate(module, lowered, data, label_offset=0, remark=remarks.append).top1 == 0
    assert not remarks
    assert evaluate(module, lowered, data_of(tmp_path, module, scores, [1, 1000]), remark=remarks.append).top1 == 1


@pytest.mark.parametrize(("labels", "offset"), [([0, 3, 0], None), ([0, 1, 2], 1), ([0, 1, 2], -1)])
def test_labels_that_are_no_class(tmp_path: Path, labels: list[int], offset: int | None) -> None:
    module = original_model()
    with pytest.raises(InputError, match="1 of 3 labels are no class of a model with 3"):
        evaluate(module, None, data_of(tmp_path, module, ROWS, labels), label_offset=offset)


def test_an_integer_model_is_its_own_original(tmp_path: Path) -> None:
    module = coarse_model()
    found = evaluate(module, None, data_of(tmp_path, module, ROWS, [0, 2, 2]))
    assert found.top1_original == pytest.approx(2 / 3)


def test_the_c_gives_the_same_answers(tmp_path: Path) -> None:
    module, lowered = original_model(), coarse_model()
    data = data_of(tmp_path, module, ROWS, [0, 2, 2])
    simulated, compiled = evaluate(module, lowered, data), evaluate(module, lowered, data, engine="c")
    same = simulated.as_json().keys() - {"images_per_second"}
    assert {key: simulated.as_json()[key] for key in same} == {key: compiled.as_json()[key] for key in same}
