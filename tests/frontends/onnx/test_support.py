"""The list of operators that users read is the one that the importer has."""

from __future__ import annotations

from pathlib import Path

from mrqc.frontends.onnx.support import RULES, support_table

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "onnx-support.md"


def test_the_document_is_up_to_date() -> None:
    regenerate = "python -c 'from mrqc.frontends.onnx.support import *; print(support_table(), end=\"\")'"
    assert DOCUMENT.read_text(encoding="utf-8") == support_table(), f"write it anew: {regenerate} > {DOCUMENT.name}"


def test_every_operator_says_what_is_supported() -> None:
    for op_type, rule in RULES.items():
        assert rule.summary.endswith("."), op_type
        assert "\n" not in rule.summary
