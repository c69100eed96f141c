"""What is printed reads back to an equal module, bit by bit, and prints the same again."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lark import Lark
from text_ops import TEST_OPS, Constant, Everything, Limits, Mode
from text_strategies import any_text, bits64, constants, modules

import mrqc.ir.text
from mrqc.errors import InputError
from mrqc.ir import FLOAT, Data, DType, Element, Graph, Location, Module, Output, Statement, TensorType, Value, verify
from mrqc.ir.text import parse_module, print_module
from mrqc.ir.text.parser import TokenLexer

GRAMMAR = Lark((Path(mrqc.ir.text.__file__).parent / "grammar.lark").read_text(), parser="lalr", lexer=TokenLexer)
SCALAR = TensorType((), FLOAT)
INPUT = Value("x", SCALAR)


def one_statement(op, name="y", location=Location()) -> Module:  # noqa: B008 - frozen
    result = Value(name, op.infer()[0])
    return Module("m", Graph((INPUT,), (Statement((result,), op, location),), (Output("out", result),)))


def reread(module: Module) -> Module:
    return parse_module(print_module(module), TEST_OPS)


@given(modules())
def test_random_modules(module):
    assert verify(module) == []
    text = print_module(module)
    again = parse_module(text, TEST_OPS)
    assert again == module
    assert print_module(again) == text
    assert [s.location for s in again.graph.statements] == [s.location for s in module.graph.statements]


@given(modules(), st.sampled_from([" ", "\n", "\t\r\n", ' // %x = : { " [\n']))
def test_blanks_and_comments_between_any_two_tokens(module, blank):
    tokens = TokenLexer(GRAMMAR.lexer_conf).lex(print_module(module))
    assert parse_module(blank.join(token.text for token in tokens), TEST_OPS) == module


@given(any_text, any_text, any_text)
def test_any_string_is_a_name_a_location_a_fact(name, source, fact):
    op = Everything(INPUT, label=fact, shape=())
    module = one_statement(op, name="y" + name, location=Location((source, fact))).with_facts(**{"key" + name: fact})
    again = reread(module)
    assert again == module
    assert again.graph.statements[0].location == Location((source, fact))
    assert "\r" not in print_module(module)


@given(bits64)
def test_attribute_floats_keep_their_bits(number):
    again = reread(one_statement(Everything(INPUT, ratio=number, ratios=(number, 1.0), shape=())))
    op = again.graph.statements[0].op
    assert isinstance(op, Everything)
    for found in (op.ratio, op.ratios[0]):
        assert struct.pack("<d", found) == struct.pack("<d", number)


@pytest.mark.parametrize("number", [0.0, -0.0])
def test_the_sign_of_zero_survives_although_the_default_is_equal(number):
    module = one_statement(Everything(INPUT, ratio=number, limits=Limits(number, number), shape=()))
    op = reread(module).graph.statements[0].op
    assert isinstance(op, Everything)
    assert op.limits is not None
    assert [np.signbit(each) for each in (op.ratio, op.limits.low, op.limits.high)] == [np.signbit(number)] * 3


@given(constants())
def test_constants_keep_their_bytes_as_attributes_of_any_type(data):
    module = one_statement(Everything(INPUT, table=data, tables=(data, data), limits=Limits(0.5, table=data), shape=()))
    again = reread(module)
    op = again.graph.statements[0].op
    assert isinstance(op, Everything)
    assert op.table is not None
    assert (op.table.to_bytes(), op.table.dtype, op.table.shape) == (data.to_bytes(), data.dtype, data.shape)
    assert again == module


@pytest.mark.parametrize("dtype", list(DType))
@pytest.mark.parametrize("size", [1, 16, 17, 400])
def test_constants_of_every_dtype_and_length(dtype, size):
    raw = np.random.default_rng(size).integers(0, 256, size * dtype.bytes, np.uint8).tobytes()
    data = Data.from_bytes(raw, dtype, (1, size))
    module = one_statement(Constant(data, Element(dtype)))
    text = print_module(module)
    assert ("dense<" in text) == (size <= 16)
    assert ("blobs {" in text) == (size > 16)
    assert parse_module(text, TEST_OPS) == module


def test_equal_constants_share_one_blob():
    data = Data(np.arange(100, dtype=np.int8))
    op = Everything(INPUT, tables=(data, data), table=data, shape=())
    text = print_module(one_statement(op))
    assert text.count("blob<") == 3
    assert text.count(f'"{data.digest}" = ') == 1
    assert parse_module(text, TEST_OPS) == one_statement(op)


def test_absent_operands_are_none_only_where_something_follows():
    other = Value("z", SCALAR)
    graph_inputs = (INPUT, other)
    for op, expected in [
        (Everything(INPUT, shape=()), "test.everything(%x) "),
        (Everything(INPUT, None, other, shape=()), "test.everything(%x, none, %z) "),
        (Everything(INPUT, other, None, (INPUT,), shape=()), "test.everything(%x, %z, none, %x) "),
        (Everything(INPUT, None, None, (other, other), shape=()), "test.everything(%x, none, none, %z, %z) "),
    ]:
        result = Value("y", SCALAR)
        module = Module("m", Graph(graph_inputs, (Statement((result,), op),), (Output("out", result),)))
        assert expected in print_module(module)
        assert reread(module) == module


def test_a_union_keeps_the_kind_of_its_content():
    for content in (1, 1.0, -0.0, "1", "half-up", Mode.HALF_UP, Mode.LIKE_A_NUMBER):
        op = reread(one_statement(Everything(INPUT, number=content, shape=()))).graph.statements[0].op
        assert isinstance(op, Everything)
        assert repr(op.number) == repr(content) or op.number == content == Mode.LIKE_A_NUMBER


@given(modules())
def test_text_with_elided_constants_is_refused_or_complete(module):
    text = print_module(module, elide_constants=True)
    if text == print_module(module):
        assert parse_module(text, TEST_OPS) == module
    else:
        with pytest.raises(InputError, match="elided"):
            parse_module(text, TEST_OPS)


@given(modules(), st.data())
def test_damaged_text_is_a_module_or_an_input_error(module, data):
    text = print_module(module)
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start, min(len(text), start + 12)))
    piece = data.draw(
        st.sampled_from(["", "{", "%", '"', "0", "none", "[1, ", ">", "tensor<", "1e999", "0x", "\\", "a ="])
    )
    damaged = text[:start] + piece + text[end:]
    message, diagnostics = "<string>:", [None]
    try:
        diagnostics = verify(parse_module(damaged, TEST_OPS)) or diagnostics
    except InputError as error:
        message, diagnostics = str(error), [None for _ in error.diagnostics]
    assert message.startswith("<string>:")
    assert diagnostics
    assert set(diagnostics) == {None}
