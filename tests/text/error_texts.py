"""Small bad texts and the messages that they get."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

import pytest
from text_ops import TEST_OPS

from mrqc.errors import InputError
from mrqc.ir import Op
from mrqc.ir.text import parse_module
from mrqc.ops import OPS_BY_MNEMONIC

OPS: dict[str, type[Op]] = {**OPS_BY_MNEMONIC, **TEST_OPS}
X = "tensor<1x4x4x2xf32>"


def statement(line: str) -> str:
    """A module around one statement, which stands on line 3 from column 3 on."""
    return f'module @m {{\n  inputs (%x : {X})\n  {line}\n  return (%x as "y")\n}}\n'


def message_of(text: str) -> str:
    with pytest.raises(InputError) as caught:
        parse_module(text, OPS, "net.mrq")
    return str(caught.value)


def cases(*tables: Mapping[str, tuple[str, str]]) -> list[Any]:
    """The text and the whole expected message of every entry."""
    return [
        pytest.param(text, textwrap.dedent(expected).strip("\n"), id=name)
        for table in tables
        for name, (text, expected) in table.items()
    ]
