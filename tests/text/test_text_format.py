"""What the text looks like, and that its documentation is true."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lark import Lark
from lark.lexer import PatternStr
from text_ops import TEST_OPS, Everything, Limits, Mode

import mrqc.ir.text
from mrqc.errors import InputError
from mrqc.frontends.onnx import import_onnx
from mrqc.ir import FLOAT, Data, DType, Element, GraphBuilder, Location, Module, Output, Quantization, TensorType
from mrqc.ir.text import parse_module, print_module
from mrqc.ir.text.literals import KEYWORDS, read_singles, single_texts
from mrqc.ops import OPS_BY_MNEMONIC
from mrqc.ops.nn import Constant, Conv2D

ROOT = Path(__file__).resolve().parents[2]
GRAMMAR = (Path(mrqc.ir.text.__file__).parent / "grammar.lark").read_text(encoding="utf-8")
DOCUMENT = (ROOT / "docs" / "text-format.md").read_text(encoding="utf-8")

PRINTED = """\
module @net {format = "onnx", "the source" = "net.onnx"} {
  inputs (%image : tensor<1x4x4x1x!quant.uniform<u8:f32, 0.0078125:128>>)
  %0 = nn.constant() {value = dense<[1, -2, 3, -4, 5, -6, 7, -8, 9]>} : \
tensor<9x!quant.uniform<i32:f32:0, {0.1, 0.2:3, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9}>> loc("conv1/bias")
  %1 = nn.constant() {value = blob<"e146fc5861571d7f4a979e4772bfbf1f29f40601ce752fdbfaa10299cb016c0c">} : \
tensor<9x3x3x1xi8> loc("conv1/weight")
  %"conv:0" = nn.conv2d(%image, %1, %0) {padding = [1, 1, 1, 1], clamp = [0.0, inf]} : \
tensor<1x4x4x9xf32> loc("conv1", "relu \\"1\\"")
  return (%"conv:0" as "logits")
}
blobs {
  "e146fc5861571d7f4a979e4772bfbf1f29f40601ce752fdbfaa10299cb016c0c" = "
    AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+P0BBQkNERUZH
    SElKS0xNTk9Q
  "
}
"""


def network() -> Module:
    builder = GraphBuilder()
    image = builder.add_input("image", TensorType((1, 4, 4, 1), Element.per_tensor(DType.U8, 0.0078125, 128)))
    scales = Quantization.per_axis([i / 10 for i in range(1, 10)], [0, 3, *[0] * 7], 0)
    codes = np.array([1, -2, 3, -4, 5, -6, 7, -8, 9], np.int32)
    bias = builder.emit(Constant(Data(codes), Element(DType.I32, scales)), Location.of("conv1/bias"))
    weights = Data(np.arange(81, dtype=np.int8).reshape(9, 3, 3, 1))
    weight = builder.emit(Constant(weights, Element(DType.I8)), Location.of("conv1/weight"))
    op = Conv2D(image, weight, bias, padding=(1, 1, 1, 1), clamp=(0.0, float("inf")))
    result = builder.emit(op, Location.of("conv1", 'relu "1"'), name="conv:0")
    module = Module("net", builder.finish([Output("logits", result)]))
    return module.with_facts(format="onnx", **{"the source": "net.onnx"})


def test_a_printed_module():
    assert print_module(network()) == PRINTED
    assert parse_module(PRINTED, OPS_BY_MNEMONIC) == network()


def test_elided_constants():
    text = print_module(network(), elide_constants=True)
    assert "value = dense<[1, -2, 3, -4, 5, -6, 7, -8, 9]>" in text
    assert "value = blob<elided>} : tensor<9x3x3x1xi8>" in text
    assert "!quant.uniform<i32:f32:0, {0.1, 0.2:3, ...}>" in text
    assert "blobs" not in text
    assert text.count("\n") == 7


def test_text_without_locations_takes_them_from_its_own_lines():
    text = print_module(network(), locations=False)
    assert "loc" not in text
    again = parse_module(text, OPS_BY_MNEMONIC, "net.mrq")
    assert again == network()
    assert [str(statement.location) for statement in again.graph.statements] == ["net.mrq:3", "net.mrq:4", "net.mrq:5"]


def test_attributes_at_their_default_are_not_printed_nor_needed():
    builder = GraphBuilder()
    x = builder.add_input("x", TensorType((), FLOAT))
    op = Everything(x, limits=Limits(0.5, modes=(Mode.HALF_UP, Mode.LIKE_A_KEYWORD)), mode=Mode.WITH_BLANKS, shape=())
    module = Module("m", builder.finish([Output("y", builder.emit(op))]))
    text = print_module(module)
    assert (
        'test.everything(%x) {mode = "two \\"words\\"", limits = {low = 0.5, modes = [half-up, "none"]}, shape = []}'
        in text
    )
    assert parse_module(text, TEST_OPS) == module


@pytest.mark.parametrize("key", ["inputs", "module", "none", "i8", "inf", "a b", "", "x-y"])
def test_any_word_is_a_fact(key):
    module = network().with_facts(**{key: "value"})
    assert parse_module(print_module(module), OPS_BY_MNEMONIC).fact(key) == "value"


@given(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=9))
def test_single_precision_texts_are_exact_and_short(bits):
    numbers = np.array(bits, np.uint32).view(np.float32)
    texts = single_texts(numbers)
    assert read_singles(texts).tobytes() == numbers.tobytes()
    assert all(len(text) <= 24 for text in texts)
    assert single_texts(np.array([0.1, 16777216, -0.0], np.float32)) == ["0.1", "16777216.0", "-0.0"]


def test_the_printer_knows_the_words_of_the_grammar():
    terminals = Lark(GRAMMAR, parser="lalr", lexer="basic").terminals
    words = {t.pattern.value for t in terminals if isinstance(t.pattern, PatternStr) and t.pattern.value.isidentifier()}
    assert words == KEYWORDS


def test_the_documented_grammar_is_the_grammar():
    (block,) = re.findall(r"```lark\n(.*?)```", DOCUMENT, re.DOTALL)
    assert block == GRAMMAR


def test_the_documented_modules_are_valid_and_mostly_as_printed():
    blocks = re.findall(r"```mrq\n(.*?)```", DOCUMENT, re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        module = parse_module(block, OPS_BY_MNEMONIC)
        written = re.sub(r"//.*\n| loc\(.*\)", "", block)
        assert print_module(module, locations=False) == written


def test_the_documented_error_is_the_error():
    (message,) = re.findall(r"```\n(net\.mrq:.*?)```", DOCUMENT, re.DOTALL)
    _, line, _ = message.split("\n", 2)
    text = "\n" * 3 + "module @m {\n  inputs (%x : tensor<1x4x4x2xf32>)\n"
    text += f"  %1 = nn.constant() {{value = dense<[1, 2, 3, 4]>}} : tensor<2x1x1x2xf32>\n{line}\n"
    with pytest.raises(InputError) as caught:
        parse_module(text + '  return (%2 as "y")\n}\n', OPS_BY_MNEMONIC, "net.mrq")
    assert f"{caught.value}\n" == message


def assert_round_trip(path: Path) -> None:
    module = import_onnx(path)
    text = print_module(module)
    again = parse_module(text, OPS_BY_MNEMONIC)
    assert again == module
    assert print_module(again) == text


def test_the_example_model_round_trips(digits):
    assert_round_trip(digits / "digits.onnx")


@pytest.mark.assets
@pytest.mark.parametrize("name", ["mobilenet_v2_qat_u8", "mobilenet_v2_ptq_s8", "resnet8.qdq.u8", "resnet8.qdq.s8_pc"])
def test_real_models_round_trip(assets, name):
    assert_round_trip(assets / "models" / f"{name}.onnx")


def test_the_string_of_a_module_is_its_text() -> None:
    module = mrqc.parse('module @m {} {\n  inputs (%x : tensor<1x2xi8>)\n  return (%x as "y")\n}\n')
    assert mrqc.parse(str(module)) == module
    assert str(module) == mrqc.print_module(module)
