"""A sigmoid over one number: two classes, also of a model that keeps something from run to run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import mrqc
from mrqc.calibration import DataSet, only_input, open_data
from mrqc.ir import Data, DType, Element, GraphBuilder, Module, Output, State, TensorType
from mrqc.ops import nn
from mrqc.report import Yardstick, evaluate
from mrqc.report.scores import ScoredModule

CODES = Element.per_tensor(DType.I8, 0.25, 3)
CODES_OUT = Element.per_tensor(DType.I8, 1 / 256, -128)
PROBABILITY = Element.per_tensor(DType.U8, 1 / 256)


def detector(offset: int = 0) -> Module:
    """The probability that a number and the one before it are positive together."""
    builder = GraphBuilder()
    x, before = (builder.add_input(name, TensorType((1, 1), CODES)) for name in ("x", "before"))
    total = builder.emit(nn.Add(x, before, element=CODES))
    constant = builder.emit(nn.Constant(Data(np.full((1, 1), 3 + offset, np.int8)), CODES))
    sigmoid = builder.emit(nn.Sigmoid(builder.emit(nn.Add(total, constant, element=CODES)), CODES_OUT))
    answer = builder.emit(nn.Quantize(sigmoid, PROBABILITY))
    graph = builder.finish([Output("y", answer), Output("n", x)])
    return Module("detector", graph, states=(State("before", "n"),))


STREAM = np.array([-40, -30, 20, 50, 9, -2, -60, 80], np.int8).reshape(8, 1)


def data_of(folder: Path, module: Module, labels: list[int] | None = None) -> DataSet:
    np.savez(folder / "d.npz", x=STREAM, **({} if labels is None else {"y": np.array(labels)}))
    return open_data(folder / "d.npz", only_input(module))


def probabilities() -> np.ndarray:
    real = 0.25 * (STREAM.astype(float) - 3.0)
    total = np.clip(real + np.concatenate([[[0.0]], real[:-1]]), 0.25 * -131, 0.25 * 124)
    return np.minimum(np.round(256.0 / (1.0 + np.exp(-total))), 255.0) / 256.0


def test_a_probability_stands_for_two_classes() -> None:
    scored = ScoredModule.of(detector())
    assert (scored.is_detector, scored.classes) == (True, 2)
    scores = scored.scores(mrqc.reference(scored.module).run({"x": STREAM}))
    np.testing.assert_allclose(scores.output, probabilities())
    np.testing.assert_allclose(scores.answers, np.concatenate([1.0 - probabilities(), probabilities()], axis=1))
    assert np.isfinite(scores.logits).all()


def test_a_stream_is_evaluated_from_its_beginning_to_its_end(tmp_path: Path) -> None:
    module = detector()
    labels = (probabilities() > 0.5).astype(int).ravel().tolist()
    lowered = mrqc.lower(module, "sym-npu")
    for engine in ("simulator", "c"):
        found = evaluate(module, lowered, data_of(tmp_path, module, labels), engine=engine)
        assert (found.images, found.top1_original, found.agreement) == (8, 1.0, 1.0)
        assert found.kl is not None
        assert found.kl < 0.01


def test_a_detector_that_answers_otherwise_disagrees(tmp_path: Path) -> None:
    module = detector()
    yardstick = Yardstick(module, data_of(tmp_path, module))
    assert yardstick.measure(module).kl == pytest.approx(0.0)
    # Thirty more makes every sum positive.
    far = yardstick.measure(detector(offset=120))
    assert far.agreement == np.mean(probabilities() > 0.5) == 0.5
    assert far.sqnr_db is not None
    assert far.sqnr_db < 10.0


def test_two_numbers_behind_a_sigmoid_are_no_detector() -> None:
    builder = GraphBuilder()
    x = builder.add_input("x", TensorType((1, 2), CODES))
    module = Module("m", builder.finish([Output("y", builder.emit(nn.Sigmoid(x, CODES_OUT)))]))
    assert not ScoredModule.of(module).is_detector
