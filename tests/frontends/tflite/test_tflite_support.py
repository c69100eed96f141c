"""The list of operators that users read is the one that the importer has."""

from __future__ import annotations

from pathlib import Path

import tflite

from mrqc.frontends.tflite.reader import default_options
from mrqc.frontends.tflite.support import RULES, support_table

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "tflite-support.md"


def test_the_document_is_up_to_date() -> None:
    regenerate = "python -c 'from mrqc.frontends.tflite.support import *; print(support_table(), end=\"\")'"
    assert DOCUMENT.read_text(encoding="utf-8") == support_table(), f"write it anew: {regenerate} > {DOCUMENT.name}"


def test_every_operator_says_what_is_supported() -> None:
    for builtin, support in RULES.items():
        assert support.summary.endswith("."), builtin
        assert "\n" not in support.summary


def test_every_operator_and_option_is_one_of_the_schema() -> None:
    for builtin, support in RULES.items():
        assert hasattr(tflite.BuiltinOperator, builtin)
        if support.options_type:
            assert set(support.options) <= set(default_options(support.options_type)), builtin
