"""Properties that hold for whole modules: text, C against simulator, batches, exact passes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mrqc.analysis.accumulators import accumulator_bounds
from mrqc.ir import Module, Op, verify
from mrqc.ops import ALL_OPS, INT_OPS
from mrqc.ops.int import FLOAT32_OPS
from mrqc.passes import Canonicalize, EliminateCommonSubexpressions, EliminateDeadCode, FoldQdq
from mrqc.testing import (
    Limits,
    as_qdq,
    assert_c_matches_simulator,
    assert_pass_exact,
    assert_round_trips,
    assert_same_arrays,
    inputs_for,
    int_modules,
    nn_modules,
    op_modules,
    qdq_modules,
    random_inputs,
    run_module,
    side_by_side,
)

COMPILED_EXAMPLES = max(1, settings.default.max_examples // 4) if settings.default else 12
"""A compiler takes a second where a simulator takes milliseconds."""

WIDE = Limits(batch=1, spatial=3, channels=80)
"""More channels than any kernel takes at once."""

ANY_MODULE = st.one_of(nn_modules(float_io=None), int_modules(), qdq_modules())


@given(ANY_MODULE)
def test_text_reads_back_to_the_equal_module(module: Module) -> None:
    assert_round_trips(module)
    assert verify(module) == []


@pytest.mark.parametrize("op", ALL_OPS, ids=lambda op: op.mnemonic)
@settings(max_examples=10)
@given(data=st.data())
def test_each_op_reads_back_and_runs(op: type[Op], data: st.DataObject) -> None:
    module = data.draw(op_modules(op))
    assert_round_trips(module)
    outputs = run_module(module, data.draw(inputs_for(module)))
    assert {output.name for output in module.graph.outputs} == outputs.keys()


@given(int_modules())
def test_accumulators_of_drawn_modules_fit_32_bits(module: Module) -> None:
    for value, bound in accumulator_bounds(module).items():
        assert bound.magnitude < 1 << 31, value


@given(st.data())
def test_results_do_not_depend_on_how_the_batch_is_split(data: st.DataObject) -> None:
    module = data.draw(st.one_of(int_modules(), nn_modules(float_io=None)))
    inputs = data.draw(inputs_for(module, max_batches=3))
    whole = run_module(module, inputs)
    parts = [run_module(module, part) for part in split(module, inputs)]
    joined = {name: np.concatenate([part[name] for part in parts]) for name in whole}
    assert_same_arrays(whole, joined, "the batch in parts")
    assert len(parts) in (1, 2, 3)


def split(module: Module, inputs: dict[str, NDArray[Any]]) -> list[dict[str, NDArray[Any]]]:
    """Return the inputs of each single batch."""
    extents = {value.name: value.type.shape[0] for value in module.graph.inputs}
    (batches,) = {len(array) // extents[name] for name, array in inputs.items()}
    return [
        {name: array[n * extents[name] : (n + 1) * extents[name]] for name, array in inputs.items()}
        for n in range(batches)
    ]


@settings(max_examples=COMPILED_EXAMPLES)
@given(st.data())
def test_compiled_c_gives_the_simulators_bits(data: st.DataObject) -> None:
    module = side_by_side(data.draw(st.lists(int_modules(), min_size=1, max_size=3)))
    inputs = data.draw(inputs_for(module))
    assert_c_matches_simulator(module, inputs, sanitize=True)
    assert inputs.keys() == {value.name for value in module.graph.inputs}


@pytest.mark.parametrize("op", [op for op in INT_OPS if op not in FLOAT32_OPS], ids=lambda op: op.mnemonic)
@settings(max_examples=3)
@given(data=st.data())
def test_compiled_c_of_each_op(op: type[Op], data: st.DataObject) -> None:
    small = data.draw(st.lists(op_modules(op), min_size=4, max_size=8))
    wide = data.draw(st.lists(op_modules(op, limits=WIDE), min_size=3, max_size=4))
    module = side_by_side([*small, *wide])
    assert_c_matches_simulator(module, random_inputs(module, 4), sanitize=True)
    assert len(module.graph.outputs) == len(small) + len(wide)


@given(st.lists(int_modules(), min_size=2, max_size=3))
def test_modules_side_by_side_compute_what_each_does(modules: list[Module]) -> None:
    together = side_by_side(modules)
    assert verify(together) == []
    inputs = random_inputs(together, 3)
    outputs = run_module(together, inputs)
    for index, module in enumerate(modules):
        alone = run_module(module, {value.name: inputs[f"{index}_{value.name}"] for value in module.graph.inputs})
        found = {name: outputs[f"{index}_{name}"] for name in alone}
        assert_same_arrays(alone, found, f"module {index}")


@pytest.mark.parametrize(
    "pass_",
    [Canonicalize(), EliminateCommonSubexpressions(), EliminateDeadCode(), FoldQdq()],
    ids=lambda pass_: pass_.name,
)
@settings(max_examples=25)
@given(data=st.data())
def test_exact_passes_keep_every_bit(pass_: Any, data: st.DataObject) -> None:
    module = data.draw(st.one_of(nn_modules(float_io=None), int_modules()))
    after = assert_pass_exact(pass_, module)
    assert pass_.exactness == "exact"
    assert [output.name for output in after.graph.outputs] == [output.name for output in module.graph.outputs]


@given(nn_modules(float_io=True, max_layers=4))
def test_folding_undoes_the_qdq_form(module: Module) -> None:
    folded = FoldQdq()(as_qdq(module))
    assert verify(folded) == []
    inputs = random_inputs(module, 3)
    assert_same_arrays(run_module(module, inputs), run_module(folded, inputs), "folded")
