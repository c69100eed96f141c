"""Inputs that outputs become in the next run: what is well formed, and what the text says of it."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrqc.errors import InputError
from mrqc.ir import FLOAT, Element, GraphBuilder, Module, Output, Quantization, State, TensorType, verify
from mrqc.ir.dtype import DType
from mrqc.ir.text import parse_module, print_module
from mrqc.ops import OPS_BY_MNEMONIC, nn
from mrqc.testing import assert_round_trips, assert_well_formed, int_modules, nn_modules, stateful_modules

TEXT = """\
module @sums {
  inputs (%x : tensor<1x2xf32>, %"a/b" : tensor<1x2xf32>)
  states (%"a/b" = -0.5 then "next")
  %y = nn.add(%x, %"a/b") : tensor<1x2xf32> loc()
  return (%y as "sum", %y as "next")
}
"""


def running_sum() -> Module:
    builder = GraphBuilder()
    x, total = (builder.add_input(name, TensorType((1, 2), FLOAT)) for name in ("x", "total"))
    y = builder.emit(nn.Add(x, total))
    graph = builder.finish([Output("y", y), Output("total_next", y)])
    return Module("sums", graph, states=(State("total", "total_next"),))


def test_states_stand_apart_from_data() -> None:
    module = running_sum()
    assert [value.name for value in module.data_inputs] == ["x"]
    assert [output.name for output in module.data_outputs] == ["y"]
    assert_well_formed(module)


@pytest.mark.parametrize(
    ("states", "reason"),
    [
        ((State("nothing", "total_next"),), "there is no such input"),
        ((State("total", "nothing"),), "there is no output 'nothing'"),
        ((State("total", "total_next", float("inf")),), "no finite number"),
        ((State("total", "total_next"), State("x", "total_next")), "output 'total_next' belongs to two states"),
        ((State("total", "total_next"), State("total", "y")), "input 'total' belongs to two states"),
    ],
)
def test_what_is_no_pair_is_reported(states: tuple[State, ...], reason: str) -> None:
    found = verify(replace(running_sum(), states=states))
    assert any(reason in str(finding) for finding in found), found


def test_a_state_keeps_its_type() -> None:
    builder = GraphBuilder()
    x = builder.add_input("x", TensorType((1, 2), Element.per_tensor(DType.I8, 0.5)))
    y = builder.emit(nn.Clip(x, (0.0, 1.0), Element.per_tensor(DType.I8, 0.25)))
    module = Module("m", builder.finish([Output("y", y)]), states=(State("x", "y"),))
    assert ["another type" in str(finding) for finding in verify(module)] == [True]


def test_a_state_has_one_scale() -> None:
    builder = GraphBuilder()
    element = Element(DType.I8, Quantization.per_axis([0.5, 0.25], [0, 0], 1))
    x = builder.add_input("x", TensorType((1, 2), element))
    module = Module("m", builder.finish([Output("y", x)]), states=(State("x", "y"),))
    assert ["several scales" in str(finding) for finding in verify(module)] == [True]


def test_the_text_of_states_reads_back() -> None:
    module = parse_module(TEXT, OPS_BY_MNEMONIC)
    assert module.states == (State("a/b", "next", -0.5),)
    assert print_module(module) == TEXT


@given(stateful_modules(st.one_of(nn_modules(float_io=None), int_modules())))
def test_generated_states_read_back(module: Module) -> None:
    assert_well_formed(module)
    assert_round_trips(module)


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (('%"a/b" =', "%b ="), "a state is an input, and %b is none"),
        (('"next")\n  %y', '"nxt")\n  %y'), 'a state takes over an output, and "nxt" is none (did you mean next?)'),
        (("-0.5", "0x01234567"), "the bits of a number are 16 hexadecimal digits"),
        ((" then", ""), "expected 'then'"),
    ],
)
def test_text_that_names_no_pair_is_refused_at_its_place(wrong: tuple[str, str], reason: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_module(TEXT.replace(*wrong), OPS_BY_MNEMONIC, "sums.mrq")
    assert reason in str(caught.value)
    assert "sums.mrq:3:" in str(caught.value)
