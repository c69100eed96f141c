"""What each pass of a recipe costs."""

from __future__ import annotations

import json
import math

import pytest

from mrqc.calibration import CalibrationSamples
from mrqc.compiler import lower
from mrqc.ir import Module
from mrqc.passes import parse_pipeline, pipeline_for
from mrqc.report import Attribution, Yardstick, attribute, format_attribution
from mrqc.targets import load_target

TARGET = load_target("pow2-npu")


@pytest.fixture(scope="module")
def found(original: Module, yardstick: Yardstick, calibration: CalibrationSamples) -> Attribution:
    return attribute(original, parse_pipeline("default", TARGET), yardstick, calibration)


def test_there_is_a_row_for_each_pass_of_the_pipeline(found: Attribution) -> None:
    names = [pass_.name for pass_ in parse_pipeline(pipeline_for(TARGET), TARGET)]
    assert [row.name.partition("{")[0] for row in found.rows] == names
    assert found.images == 40


def test_the_last_row_is_what_the_lowered_module_is_worth(
    found: Attribution, original: Module, yardstick: Yardstick, calibration: CalibrationSamples
) -> None:
    assert found.rows[-1].fidelity == yardstick.measure(lower(original, TARGET, calibration))


def test_changes_add_up_and_exact_passes_have_none(found: Attribution) -> None:
    total = sum(row.kl_change or 0.0 for row in found.rows)
    assert found.rows[-1].fidelity.kl == pytest.approx(total, abs=1e-12)
    for before, row in zip(found.rows, found.rows[1:], strict=False):
        if row.exactness == "exact":
            assert row.kl_change == pytest.approx(0.0, abs=1e-12)
        if not row.changed:
            assert row.fidelity == before.fidelity
    lossy = [row for row in found.rows if row.exactness == "lossy" and row.changed]
    assert any(row.kl_change for row in lossy)


def test_the_text_has_the_passes_that_changed_anything(found: Attribution) -> None:
    text = format_attribution(found)
    for row in found.rows:
        assert (f"\n{row.name} " in text) == row.changed
    assert "40 samples" in text


def test_json_is_plain(found: Attribution) -> None:
    facts = json.loads(json.dumps(found.as_json()))
    assert len(facts["rows"]) == len(found.rows)
    row = facts["rows"][-1]
    assert math.isclose(row["kl"], found.rows[-1].fidelity.kl or 0.0)
    assert {"name", "exactness", "seconds", "changed", "kl_change", "sqnr_change_db", "agreement"} <= row.keys()
