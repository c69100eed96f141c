from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from mrqc.compiler import run_passes
from mrqc.errors import InputError
from mrqc.ir import FLOAT, DType, Element, GraphBuilder, Module, Output, TensorType, Value
from mrqc.ops import int as int_ops
from mrqc.ops import nn
from mrqc.report import own_program
from mrqc.report.scores import ScoredModule
from mrqc.targets import load_target

CODES = Element.per_tensor(DType.U8, 1 / 256)


def softmax_model(*, behind: bool, shape: tuple[int, ...] = (1, 3)) -> Module:
    """A softmax over an input, with a quantize, a reshape and a dequantize behind it or none of them."""
    builder = GraphBuilder()
    value = builder.emit(nn.Softmax(builder.add_input("x", TensorType(shape, FLOAT))))
    if behind:
        value = builder.emit(nn.Quantize(value, CODES))
        value = builder.emit(nn.Reshape(value, (1, 1, 3)))
        value = builder.emit(nn.Dequantize(value))
    return Module("classifier", builder.finish([Output("y", value)]))


@pytest.mark.parametrize("behind", [False, True])
def test_the_logits_are_what_goes_into_the_last_softmax(behind: bool) -> None:
    scored = ScoredModule.of(softmax_model(behind=behind))
    x = np.array([[1.0, 2.0, 4.0], [0.0, 0.0, -1.0]], np.float32)
    scores = scored.scores(own_program(scored.module).run({"x": x}))
    assert_array_equal(scores.logits, x)
    np.testing.assert_allclose(scores.answers.sum(axis=1), 1, atol=0.01)


def test_a_model_without_softmax_answers_with_its_logits() -> None:
    builder = GraphBuilder()
    clipped = builder.emit(nn.Clip(builder.add_input("x", TensorType((2, 3), FLOAT)), (0.0, 1.0)))
    module = Module("classifier", builder.finish([Output("y", clipped)]))
    scored = ScoredModule.of(module)
    assert scored.module == module
    scores = scored.scores({"y": np.zeros((4, 3))})
    assert scores.logits.shape == scores.answers.shape == (4, 3)


def test_an_integer_softmax_is_looked_through_and_codes_become_reals() -> None:
    builder = GraphBuilder()
    logits = builder.add_input("x", TensorType((1, 3), Element.per_tensor(DType.I8, 0.5, 10)))
    table = builder.add_input("table", TensorType((256,), Element(DType.I32)))
    softmax = builder.emit(int_ops.Softmax(logits, table, 256, 0, 0, 255, CODES))
    answer = builder.emit(int_ops.Clamp(softmax, 0, 200))
    graph = builder.finish([Output("y", answer)])
    # A table is a constant in every lowered module; as an input it would be a second one.
    with pytest.raises(InputError, match="only a model of one input and one output"):
        ScoredModule.of(Module("classifier", graph))
    scored = ScoredModule.of(Module("classifier", type(graph)((logits,), graph.statements, graph.outputs)))
    scores = scored.scores(
        {"y": np.array([[128, 64, 64]], np.uint8), scored.logits.name: np.array([[12, 10, 10]], np.int8)}
    )
    assert_array_equal(scores.answers, [[0.5, 0.25, 0.25]])
    assert_array_equal(scores.logits, [[1, 0, 0]])


def test_a_softmax_along_another_axis_is_part_of_the_model() -> None:
    builder = GraphBuilder()
    softmax = builder.emit(nn.Softmax(builder.add_input("x", TensorType((1, 3, 2), FLOAT))))
    answer = builder.emit(nn.Reshape(softmax, (1, 6)))
    module = Module("classifier", builder.finish([Output("y", answer)]))
    assert ScoredModule.of(module).module == module


@pytest.mark.parametrize("shape", [(3,), (2, 3)], ids=["no batch axis", "another batch"])
def test_only_rows_of_scores_can_be_evaluated(shape: tuple[int, ...]) -> None:
    builder = GraphBuilder()
    x = builder.add_input("x", TensorType((1, shape[0] * 3 if len(shape) > 1 else 3), FLOAT))
    module = Module("net", builder.finish([Output("y", builder.emit(nn.Reshape(x, shape)))]))
    with pytest.raises(InputError, match="does not hold one row of class scores for each image"):
        ScoredModule.of(module)


def test_values_are_not_lost_to_the_name_of_the_new_output() -> None:
    module = softmax_model(behind=False)
    scored = ScoredModule.of(module)
    assert scored.answer == module.graph.outputs[0]
    assert scored.logits.name != scored.answer.name
    assert isinstance(scored.logits.value, Value)


@pytest.mark.parametrize("scale", [1e-4, 0.125, 3.0, 9.0])
def test_the_rounding_of_a_table_is_not_taken_for_a_label(scale: float) -> None:
    builder = GraphBuilder()
    x = builder.add_input("x", TensorType((1, 1001), Element.per_tensor(DType.I8, scale)))
    y = builder.emit(nn.Softmax(x, element=Element.per_tensor(DType.I8, 2.0**-7)))
    module = Module("classifier", builder.finish([Output("y", y)]))
    assert ScoredModule.of(run_passes(module, "lower-to-int", load_target("pow2-npu"))).slope == 1.0


@pytest.mark.parametrize("classes", [2, 12, 1001])
@pytest.mark.parametrize("beta", [1.0, 0.7, 1.3])
def test_the_label_of_a_softmax_does_not_change_the_logits(classes: int, beta: float) -> None:
    builder = GraphBuilder()
    x = builder.add_input("x", TensorType((1, classes), Element.per_tensor(DType.I8, 0.125)))
    y = builder.emit(nn.Softmax(x, beta=beta, element=Element.per_tensor(DType.I8, 2.0**-7)))
    module = Module("classifier", builder.finish([Output("y", y)]))
    codes = np.random.default_rng(classes).integers(-128, 128, (4, classes)).astype(np.int8)
    for version in (module, run_passes(module, "lower-to-int", load_target("pow2-npu"))):
        scored = ScoredModule.of(version)
        scores = scored.scores(own_program(scored.module).run({"x": codes}))
        np.testing.assert_allclose(scores.logits, codes * 0.125 * beta, rtol=2e-3)
