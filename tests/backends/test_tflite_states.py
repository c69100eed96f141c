"""States as variables of a TFLite file: LiteRT keeps them as a caller would."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from litert import LiteRT, RefusedByLiteRT

import mrqc
from mrqc.backends.inputs import initial_states
from mrqc.errors import TargetError
from mrqc.ir import DType, Element, GraphBuilder, Module, Output, State, TensorType
from mrqc.ops import nn
from mrqc.testing import Scheme, nn_modules, random_inputs, stateful_modules

CODES = Element.per_tensor(DType.I8, 0.5, 3)


@settings(max_examples=20)
@given(stateful_modules(nn_modules(scheme=Scheme(DType.I8), awkward_names=False)))
def test_a_file_with_variables_gives_what_its_runs_give_by_hand(module: Module) -> None:
    """The same operators without variables, called run by run, are the oracle: arithmetic plays no part."""
    try:
        whole = LiteRT(mrqc.emit_tflite(module))
        by_hand = LiteRT(mrqc.emit_tflite(replace(module, states=())))
    except (TargetError, RefusedByLiteRT):
        return
    (state,) = module.states
    states = initial_states(module)
    for seed in range(4):
        data = {name: array for name, array in random_inputs(module, 1, seed).items() if name != state.input}
        expected = by_hand.run(data | states)
        states = {state.input: expected.pop(state.output)}
        found = whole.run(data)
        assert found.keys() == expected.keys()
        for name, array in expected.items():
            np.testing.assert_array_equal(found[name], array)


def test_states_are_read_back_from_the_file(tmp_path: Path) -> None:
    builder = GraphBuilder()
    x, s = (builder.add_input(name, TensorType((1, 4), CODES)) for name in ("x", "total/sum"))
    y = builder.emit(nn.Add(x, s, element=CODES))
    states = (State("total/sum", "total/sum_next", 5.0),)
    module = Module("sums", builder.finish([Output("y", y), Output("total/sum_next", y)]), states=states)
    path = tmp_path / "sums.tflite"
    path.write_bytes(mrqc.emit_tflite(module))
    again = mrqc.load(path)
    assert again.states == module.states
    data = random_inputs(module, 6)["x"]
    np.testing.assert_array_equal(mrqc.reference(again).run(data)["y"], mrqc.reference(module).run(data)["y"])
