"""Texts that the grammar refuses, and names that do not fit, each with the whole message."""

from __future__ import annotations

import pytest
from error_texts import OPS, X, cases, message_of, statement

from mrqc.errors import InputError
from mrqc.ir.text import parse_module

SYNTAX = {
    "empty text": (
        "",
        """
        net.mrq:1:1: expected 'module', but the text ends here

        ^
        """,
    ),
    "text cut off": (
        "module @m {\n  inputs (\n\n",
        """
        net.mrq:2:11: expected a value such as %x or ')', but the text ends here
          inputs (
                  ^
        """,
    ),
    "something after the end": (
        statement("") + "extra",
        """
        net.mrq:6:1: expected the end of the text or 'blobs', found 'extra'
        extra
        ^^^^^
        """,
    ),
    "missing type": (
        statement("%0 = nn.clip(%x)"),
        """
        net.mrq:4:3: expected ':' or '{', found 'return'
          return (%x as "y")
          ^^^^^^
        """,
    ),
    "mnemonic without dialect": (
        statement(f"%0 = clip(%x) : {X}"),
        """
        net.mrq:3:8: expected an op such as nn.conv2d, found 'clip'
          %0 = clip(%x) : tensor<1x4x4x2xf32>
               ^^^^
        """,
    ),
    "two commas": (
        statement(f"%0 = nn.clip(%x) {{clamp = [0.0,, 1.0]}} : {X}"),
        """
        net.mrq:3:34: expected a value, found ','
          %0 = nn.clip(%x) {clamp = [0.0,, 1.0]} : tensor<1x4x4x2xf32>
                                         ^
        """,
    ),
    "attribute without =": (
        statement(f"%0 = nn.clip(%x) {{clamp [0.0, 1.0]}} : {X}"),
        """
        net.mrq:3:21: expected a name and '=', a quoted string or '}', found 'clamp'
          %0 = nn.clip(%x) {clamp [0.0, 1.0]} : tensor<1x4x4x2xf32>
                            ^^^^^
        """,
    ),
    "malformed number": (
        statement(f"%0 = nn.clip(%x) {{clamp = [0.0.1, 1.0]}} : {X}"),
        """
        net.mrq:3:30: expected a value or ']', found '0.0.1'
          %0 = nn.clip(%x) {clamp = [0.0.1, 1.0]} : tensor<1x4x4x2xf32>
                                     ^^^^^
        """,
    ),
    "string without end": (
        statement(f'%0 = nn.clip(%x) : {X} loc("relu)'),
        """
        net.mrq:3:46: expected a quoted string or ')'; this string does not end on its line
          %0 = nn.clip(%x) : tensor<1x4x4x2xf32> loc("relu)
                                                     ^^^^^
        """,
    ),
    "element type of another language": (
        statement("%0 = nn.clip(%x) : tensor<4xint8>"),
        """
        net.mrq:3:31: expected an element type such as i8 or '!quant.uniform<', found 'int8'
          %0 = nn.clip(%x) : tensor<4xint8>
                                      ^^^^
        """,
    ),
    "output without name": (
        f"module @m {{\n  inputs (%x : {X})\n  return (%x)\n}}\n",
        """
        net.mrq:3:13: expected 'as', found ')'
          return (%x)
                    ^
        """,
    ),
    "character that is no token": (
        statement(f"%0 = nn.clip(%x) ; {X}"),
        """
        net.mrq:3:20: expected ':' or '{', found ';'
          %0 = nn.clip(%x) ; tensor<1x4x4x2xf32>
                           ^
        """,
    ),
    "control characters": (
        statement(f"%0 = nn.clip(%x) \x1b[31m : {X}"),
        """
        net.mrq:3:20: expected ':' or '{', found '\ufffd'
          %0 = nn.clip(%x) \ufffd[31m : tensor<1x4x4x2xf32>
                           ^
        """,
    ),
    "long line": (
        statement(f'%0 = nn.clip(%x) {{label = "{"a" * 90}", clamp = [1, 2}} : {X} loc("{"b" * 90}")'),
        f"""
        net.mrq:3:136: expected ',' or ']', found '}}'
        …{"a" * 34}", clamp = [1, 2}} : tensor<1x4x4x2xf32> loc("{"b" * 21}…
                                                           ^
        """,
    ),
    "tabs and wide characters before it": (
        statement(f'%0 = nn.clip(%x) :\t{X} loc("層一" "b")'),
        """
        net.mrq:3:51: expected ')' or ',', found "b"
          %0 = nn.clip(%x) : tensor<1x4x4x2xf32> loc("層一" "b")
                                                            ^^^
        """,
    ),
}

NAMES = {
    "unknown op": (
        statement(f"%0 = nn.clpi(%x) : {X}"),
        """
        net.mrq:3:8: there is no op nn.clpi (did you mean nn.clip or nn.slice or int.clamp?)
          %0 = nn.clpi(%x) : tensor<1x4x4x2xf32>
               ^^^^^^^
        """,
    ),
    "unknown operand": (
        statement(f"%0 = nn.clip(%y) : {X}"),
        """
        net.mrq:3:16: %y is used before it is defined
          %0 = nn.clip(%y) : tensor<1x4x4x2xf32>
                       ^^
        """,
    ),
    "own result as operand": (
        statement(f"%relu1 = nn.add(%x, %relu1) : {X}\n  %relu2 = nn.add(%x, %relu) : {X}"),
        """
        net.mrq:3:23: %relu1 is used before it is defined
          %relu1 = nn.add(%x, %relu1) : tensor<1x4x4x2xf32>
                              ^^^^^^
        net.mrq:4:23: %relu is used before it is defined (did you mean %relu1?)
          %relu2 = nn.add(%x, %relu) : tensor<1x4x4x2xf32>
                              ^^^^^
        """,
    ),
    "result defined twice": (
        statement(f"%x = nn.clip(%x) : {X}"),
        """
        net.mrq:3:3: %x is defined twice
          %x = nn.clip(%x) : tensor<1x4x4x2xf32>
          ^^
        """,
    ),
    "output name twice, output unknown": (
        f'module @m {{\n  inputs (%x : {X})\n  return (%x as "a", %z as "a")\n}}\n',
        """
        net.mrq:3:22: %z is used before it is defined
          return (%x as "a", %z as "a")
                             ^^
        net.mrq:3:28: output name 'a' is used twice
          return (%x as "a", %z as "a")
                                   ^^^
        """,
    ),
    "no output": (
        "module @net {\n  inputs ()\n  return ()\n}\n",
        """
        net.mrq:1:8: a module needs at least one output
        module @net {
               ^^^^
        """,
    ),
    "metadata": (
        f'module @m {{a = 3, b = "x", b = "y"}} {{\n  inputs (%x : {X})\n  return (%x as "a")\n}}\n',
        """
        net.mrq:1:16: a fact about the module is a quoted string, found 3
        module @m {a = 3, b = "x", b = "y"} {
                       ^
        net.mrq:1:28: fact 'b' is given twice
        module @m {a = 3, b = "x", b = "y"} {
                                   ^
        """,
    ),
    "unknown escape": (
        statement(f'%0 = nn.clip(%x) : {X} loc("a\\q")'),
        """
        net.mrq:3:46: unknown escape \\q in a string
          %0 = nn.clip(%x) : tensor<1x4x4x2xf32> loc("a\\q")
                                                     ^^^^^
        """,
    ),
    "escape beyond unicode": (
        statement(f'%"\\u{{110000}}" = nn.clip(%x) : {X}'),
        """
        net.mrq:3:3: unknown escape \\u{110000} in a string
          %"\\u{110000}" = nn.clip(%x) : tensor<1x4x4x2xf32>
          ^^^^^^^^^^^^^
        """,
    ),
}


@pytest.mark.parametrize(("text", "expected"), cases(SYNTAX, NAMES))
def test_message(text, expected):
    assert message_of(text) == expected


def test_every_finding_is_a_diagnostic_and_many_are_cut():
    lines = "\n  ".join(f"%{i} = nn.clip(%nope{i}) : {X}" for i in range(14))
    with pytest.raises(InputError) as caught:
        parse_module(statement(lines), OPS, "net.mrq")
    assert [diagnostic.location for diagnostic in caught.value.diagnostics] == [
        f"net.mrq:{i + 3}:{16 if i < 10 else 17}" for i in range(14)
    ]
    assert caught.value.diagnostics[3].message == "%nope3 is used before it is defined"
    assert str(caught.value).count("\n") == 10 * 3
    assert str(caught.value).endswith("and 4 more problems")


def test_what_uses_a_broken_statement_is_not_reported_too():
    text = statement(
        f"%0 = nn.clpi(%x) : {X}\n  %1 = nn.clip(%0) : {X}\n  %2 = nn.clip(%1) : tensor<4xi7>\n  %3 = nn.clip(%2) : {X}"
    )
    with pytest.raises(InputError) as caught:
        parse_module(text, OPS)
    assert [diagnostic.location for diagnostic in caught.value.diagnostics] == ["<string>:3:8", "<string>:5:31"]
