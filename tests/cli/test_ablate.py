from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from command_line import CommandLine

FEW = ("--limit", "6", "--calib-limit", "2")


def arguments(digits: Path, target: str = "asym-npu-i8") -> list[str | Path]:
    return ["ablate", digits / "digits.onnx", "--target", target, "--data", digits / "test.npz"]


def test_the_ladder_in_json_and_as_a_picture(mrqc: CommandLine, digits: Path, tmp_path: Path) -> None:
    picture = tmp_path / "ladder.svg"
    result = mrqc(*arguments(digits), "--calib", digits / "calib.npz", *FEW, "--plot", picture, "--json")
    assert result.code == 0, result.err
    assert result.err == ""
    found = json.loads(result.out)
    assert found.keys() == {"model", "target", "images", "top1_original", "rows", "contributions"}
    assert (found["model"], found["target"], found["images"]) == ("digits", "asym-npu-i8", 6)
    assert found["rows"][0].keys() == {
        *("name", "kind", "technique", "pipeline", "samples", "before", "engine", "reason"),
        *("top1", "lost", "gained", "agreement", "kl", "sqnr_db", "logits_sqnr_db", "kl_change", "sqnr_change_db"),
    }
    assert {row["kind"] for row in found["rows"]} == {"control", "naive", "alone", "cumulative", "recipe"}
    assert {row["samples"] for row in found["rows"]} == {"none", "synthetic", "calib"}
    assert [one["technique"] for one in found["contributions"]][-1] == "block-reconstruction"
    ElementTree.parse(picture)


def test_the_table_and_a_page(mrqc: CommandLine, digits: Path, tmp_path: Path) -> None:
    page = tmp_path / "ladder.html"
    result = mrqc(*arguments(digits), "--limit", "4", "--plot", page)
    assert result.code == 0, result.err
    assert "What each technique contributes" in result.out
    assert "correct-biases-on-data" not in result.out
    assert "<svg" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("more", "code", "says"),
    [
        (["--plot", "x.png"], 2, "must end in .svg or .html"),
        (["--calib-limit", "3"], 2, "give --calib"),
        (["--plot", "no/such/folder/x.svg"], 1, "no/such/folder"),
        (["--label-offset", "9"], 1, "no class of a model with 10"),
    ],
)
def test_what_cannot_be_is_refused_before_the_work(
    mrqc: CommandLine, digits: Path, more: list[str], code: int, says: str
) -> None:
    result = mrqc(*arguments(digits), *more)
    assert (result.code, result.out) == (code, "")
    assert says in result.err


def test_a_runtime_has_nothing_to_ablate(mrqc: CommandLine, digits: Path) -> None:
    result = mrqc(*arguments(digits, "tflite"), "--limit", "1")
    assert (result.code, result.out) == (2, "")
    assert "nothing to ablate" in result.err


def test_a_recipe_is_followed_pass_by_pass(mrqc: CommandLine, digits: Path) -> None:
    result = mrqc(*arguments(digits, "pow2-npu"), "--by-pass", "--recipe", "fast", "--limit", "6", "--json")
    assert result.code == 0, result.err
    names = [row["name"].partition("{")[0] for row in json.loads(result.out)["rows"]]
    assert names.index("symmetrize") < names.index("balance-rounding") < names.index("lower-to-int")
    text = mrqc(*arguments(digits, "pow2-npu"), "--by-pass", "--recipe", "fast", "--limit", "6")
    assert text.code == 0
    assert "KL change" in text.out


@pytest.mark.parametrize("options", [("--recipe", "fast"), ("--by-pass", "--plot", "ladder.svg")])
def test_options_that_contradict_each_other(mrqc: CommandLine, digits: Path, options: tuple[str, ...]) -> None:
    result = mrqc(*arguments(digits), *options, *FEW)
    assert result.code == 2
    assert "--by-pass" in result.err
    assert "Traceback" not in result.err
