from __future__ import annotations

import json
import math
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from mrqc.calibration import CalibrationSamples, open_data
from mrqc.compiler import lower
from mrqc.errors import InputError, UsageError
from mrqc.ir import Module
from mrqc.passes import LowerToInt, parse_pipeline
from mrqc.report import Ablation, Yardstick, ablate, evaluate, format_ablation, ladder_for, plot_html, plot_svg
from mrqc.report.ladder import techniques_for
from mrqc.targets import BUILTIN_TARGETS, Target, load_target

HARDWARE = [name for name in BUILTIN_TARGETS if not load_target(name).is_runtime]


@pytest.fixture(scope="module")
def shifting(original: Module, yardstick: Yardstick, calibration: CalibrationSamples) -> Ablation:
    return ablate(original, load_target("pow2-npu"), yardstick, calibration)


@pytest.fixture(scope="module")
def multiplying(original: Module, yardstick: Yardstick) -> Ablation:
    return ablate(original, load_target("sym-npu"), yardstick)


def test_rungs_that_are_asked_for_and_no_others(
    original: Module, yardstick: Yardstick, calibration: CalibrationSamples, shifting: Ablation
) -> None:
    target = load_target("pow2-npu")
    only = ["naive + joint-scales", "… + joint-scales", "free multipliers"]
    part = ablate(original, target, yardstick, calibration, only=only)
    names = [row.rung.name for row in part.rows]
    assert names == ["free multipliers", "naive", only[0], "… + correct-weights", "… + fold-rounding-error", only[1]]
    rows = {row.rung.name: row for row in shifting.rows}
    assert part.rows == tuple(rows[name] for name in names)
    assert [one.technique for one in part.contributions] == ["joint-scales"]
    assert "joint-scales" in format_ablation(part)
    with pytest.raises(UsageError, match="no rung nonsense"):
        ablate(original, target, yardstick, calibration, only=["nonsense"])


@pytest.mark.parametrize("name", HARDWARE)
@pytest.mark.parametrize("has_data", [False, True])
def test_every_rung_of_every_target_is_a_pipeline(name: str, has_data: bool) -> None:
    target = load_target(name)
    rungs = ladder_for(target, has_data)
    names = [rung.name for rung in rungs]
    assert len(set(names)) == len(names)
    for index, rung in enumerate(rungs):
        assert sum(isinstance(pass_, LowerToInt) for pass_ in parse_pipeline(rung.pipeline, target)) == 1
        assert rung.before is None or rung.before in names[:index]
        assert rung.samples != "calib" or has_data
        looks = any(
            part in rung.pipeline
            for part in (
                "correct-biases",
                "closed-form",
                "adaptive",
                "method=block",
                "equalize",
                "rescale",
                "assign-scales,",
                "assign-scales{repeat=false}",
            )
        )
        assert (rung.samples != "none") == looks or rung.kind == "recipe"


@pytest.mark.parametrize("name", HARDWARE)
def test_biases_corrected_on_synthetic_inputs_have_seen_no_data(name: str) -> None:
    rungs = {rung.name: rung for rung in ladder_for(load_target(name), True)}
    for kind in ("naive", "…"):
        assert rungs[f"{kind} + correct-biases"].samples == "synthetic"
        assert rungs[f"{kind} + correct-biases-on-data"].samples == "calib"


@pytest.mark.parametrize("name", HARDWARE)
def test_alone_is_naive_with_nothing_but_what_a_technique_needs(name: str) -> None:
    target = load_target(name)
    techniques = {technique.name: technique for technique in techniques_for(target, True)}
    rungs = {rung.name: rung for rung in ladder_for(target, True)}
    naive = rungs["naive"].pipeline.split(",")
    for technique in techniques.values():
        added = set(rungs[f"naive + {technique.name}"].pipeline.split(",")) - set(naive)
        expected = 1 + len(technique.needs)
        assert 1 <= len(added) <= expected


def test_rounding_is_repeated_from_its_own_rung_on() -> None:
    rungs = [rung for rung in ladder_for(load_target("pow2-npu"), True) if rung.kind == "cumulative"]
    order = [rung.technique for rung in rungs]
    for rung in rungs[order.index("scales-on-data") :]:
        repeats = order.index(rung.technique) >= order.index("repeat-rounding")
        assert ("assign-scales," if repeats else "assign-scales{repeat=false},") in rung.pipeline


def test_techniques_for_shifts_are_for_targets_that_shift() -> None:
    def names(target: Target) -> set[str]:
        return {technique.name for technique in techniques_for(target, False)}

    only_shifts = {"fold-rounding-error", "joint-scales", "balance-rounding"}
    assert names(load_target("pow2-npu")) - names(load_target("sym-npu")) == only_shifts
    assert "absorb-zero-points" not in names(load_target("asym-npu-i8"))


def test_the_last_rung_has_every_technique() -> None:
    last = [rung for rung in ladder_for(load_target("pow2-npu"), True) if rung.kind == "cumulative"][-1]
    for part in ("assign-scales,", "correct-weights", "clip-weights", "correct-biases", "absorb-zero-points"):
        assert part in last.pipeline
    assert "=false" not in last.pipeline
    assert last.samples == "calib"


def test_data_are_compared_with_no_correction_and_not_with_synthetic_inputs() -> None:
    rungs = {rung.name: rung for rung in ladder_for(load_target("pow2-npu"), True)}
    assert rungs["… + correct-biases-on-data"].before == rungs["… + correct-biases"].before == "… + clip-weights"


def test_methods_of_rounding_are_all_compared_with_the_rung_below_them() -> None:
    rungs = {rung.name: rung for rung in ladder_for(load_target("pow2-npu"), True)}
    methods = {"closed-form-rounding": "closed-form", "adaptive-rounding": "adaptive", "block-reconstruction": "block"}
    for technique, method in methods.items():
        rung = rungs[f"… + {technique}"]
        assert rung.before == "… + rescale-outliers"
        assert rung.pipeline.count("method=") == 1
        assert f"round-weights{{method={method}}}" in rung.pipeline


def test_the_yardstick_measures_what_evaluate_does(digits: Path, original: Module, yardstick: Yardstick) -> None:
    lowered = lower(original, "sym-npu", recipe="fast")
    data = open_data(digits / "test.npz", original.graph.inputs[0])
    expected, found = evaluate(original, lowered, data, limit=yardstick.images), yardstick.measure(lowered)
    assert (found.top1, found.lost, found.gained) == (expected.top1, expected.lost, expected.gained)
    assert found.agreement == expected.agreement
    assert found.kl == pytest.approx(expected.kl)
    assert yardstick.top1 == expected.top1_original
    assert yardstick.images == 40


def test_rows_say_where_they_ran_and_why(shifting: Ablation) -> None:
    for row in shifting.rows:
        assert (row.engine == "simulator") == (row.reason is None)
    # Independent scales of a residual block need multipliers in its addition.
    assert "powers of two" in str(shifting.of_kind("naive")["naive"].reason)
    assert all(row.engine == "reference" for row in shifting.of_kind("control").values())
    assert all(row.engine == "simulator" for row in shifting.of_kind("recipe").values())


def test_techniques_help(shifting: Ablation, multiplying: Ablation) -> None:
    for ablation in (shifting, multiplying):
        naive, last = ablation.of_kind("naive")["naive"], list(ablation.of_kind("cumulative").values())[-1]
        assert naive.fidelity.kl is not None
        assert last.fidelity.kl is not None
        assert last.fidelity.kl < 0.5 * naive.fidelity.kl
    alone = shifting.of_kind("alone")
    for name in ("fold-rounding-error", "joint-scales", "clip-weights"):
        assert (alone[name].kl_change or 0.0) < 0.0
        assert (alone[name].sqnr_change_db or 0.0) > 3.0


def test_changes_are_differences_to_the_rung_before(shifting: Ablation) -> None:
    rows = {row.rung.name: row for row in shifting.rows}
    for row in shifting.rows:
        if row.rung.before is None:
            assert row.kl_change is None
            continue
        before = rows[row.rung.before].fidelity
        assert before.kl is not None
        assert row.kl_change == pytest.approx((row.fidelity.kl or math.nan) - before.kl)
    (first, *_) = shifting.contributions
    assert first.alone == first.cumulative


def test_a_pipeline_is_measured_once(original: Module, yardstick: Yardstick) -> None:
    started: list[str] = []

    def note(description: str, done: int, _total: int) -> None:
        if description.endswith(": re-quantizing") and done == 0:
            started.append(description)

    ablation = ablate(original, load_target("asym-npu-i8"), yardstick, progress=note)
    assert len(started) == len({(row.rung.pipeline, row.rung.samples) for row in ablation.rows}) < len(ablation.rows)


def test_json_is_stable(original: Module, yardstick: Yardstick, multiplying: Ablation) -> None:
    text = json.dumps(multiplying.as_json(), allow_nan=False)
    again = ablate(original, load_target("sym-npu"), yardstick)
    assert json.dumps(again.as_json(), allow_nan=False) == text
    rows = json.loads(text)["rows"]
    assert len({tuple(row) for row in rows}) == 1


def test_the_table_holds_every_rung(shifting: Ablation) -> None:
    text = format_ablation(shifting)
    for row in shifting.rows:
        assert re.search(rf"^{re.escape(row.rung.name)}\b", text, re.MULTILINE)
    assert "Over the reals, because the target cannot run these rungs" in text


def test_a_model_without_classes_shows_signal_and_noise_alone(tmp_path: Path, original: Module) -> None:
    np.savez(
        tmp_path / "d.npz", x=np.random.default_rng(1).random((5, *original.graph.inputs[0].type.shape[1:]), np.float32)
    )
    yardstick = Yardstick(original, open_data(tmp_path / "d.npz", original.graph.inputs[0]))
    ablation = ablate(original, load_target("asym-npu-i8"), yardstick)
    for row in ablation.rows:
        found = row.fidelity
        assert found.top1 is found.lost is found.agreement is found.kl is row.kl_change is None
        assert found.sqnr_db is not None
    header = format_ablation(ablation).splitlines()[1]
    assert "KL" not in header
    assert "SQNR dB" in header
    assert "noise power over signal power" in plot_svg(ablation)


def test_a_runtime_is_refused(original: Module, yardstick: Yardstick) -> None:
    with pytest.raises(UsageError, match="nothing to ablate"):
        ablate(original, load_target("tflite"), yardstick)


def test_the_yardstick_checks_labels(digits: Path, original: Module) -> None:
    data = open_data(digits / "test.npz", original.graph.inputs[0])
    with pytest.raises(InputError, match="no class of a model with 10"):
        Yardstick(original, data, label_offset=5)


SVG = "{http://www.w3.org/2000/svg}"


def test_the_picture_can_be_read_by_everyone(shifting: Ablation) -> None:
    root = ElementTree.fromstring(plot_svg(shifting))
    assert root.get("role") == "img"
    assert [element.tag for element in root[:2]] == [f"{SVG}title", f"{SVG}desc"]
    described = str(root[1].text)
    texts = {text.text for text in root.iter(f"{SVG}text")}
    for row in shifting.rows:
        assert row.rung.name in described
        assert (row.rung.technique or row.rung.name) in texts


def test_marks_lie_where_their_divergence_is(shifting: Ablation) -> None:
    root = ElementTree.fromstring(plot_svg(shifting))
    places: list[tuple[float, float]] = []
    for mark in root:
        title = mark.find(f"{SVG}title")
        if title is not None:
            centre = float(mark.get("cx") or float(mark.get("x", "nan")) + 5)
            value = re.search(r": ([0-9.e-]+),", str(title.text))
            assert value is not None
            places.append((math.log10(float(value[1])), centre))
    assert len(places) == len(shifting.rows)
    logs, centres = np.array(places).T
    slope, offset = np.polyfit(logs, centres, 1)
    assert slope > 0
    assert np.abs(slope * logs + offset - centres).max() < 1.0


def test_the_page_holds_picture_and_table(multiplying: Ablation) -> None:
    page = plot_html(multiplying)
    assert page.startswith("<!DOCTYPE html>")
    assert '<html lang="en">' in page
    assert "<svg" in page
    assert "naive + clip-weights" in page
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")
