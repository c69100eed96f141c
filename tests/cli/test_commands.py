from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import ROOT, CommandLine

import mrqc as library
from mrqc.cli.tensors import arrays_as_json
from mrqc.ir import FLOAT, TensorType

REAL_MODELS = ["mobilenet_v2_qat_u8", "mobilenet_v2_ptq_s8", "resnet8.qdq.u8", "resnet8.qdq.s8_pc"]


def json_of(result: Any) -> dict[str, Any]:
    assert result.code == 0, result.err
    return json.loads(result.out)


def test_lower_writes_source_and_header(mrqc: CommandLine, digits: Path, tmp_path: Path) -> None:
    result = mrqc("lower", digits / "digits.onnx", "--target", "pow2-npu", "-o", tmp_path / "kernel.c")
    assert result.code == 0, result.err
    assert result.out == ""
    assert "pow2-npu" in result.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kernel.c", "kernel.h"]
    assert "void kernel_run(" in (tmp_path / "kernel.h").read_text()
    subprocess.run(
        ["cc", "-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror", "-c", "kernel.c", "-o", "kernel.o"],
        cwd=tmp_path,
        check=True,
    )


def test_lower_reports_in_json(mrqc: CommandLine, digits: Path, tmp_path: Path) -> None:
    output = tmp_path / "my-kernel.c"
    facts = json_of(mrqc("lower", digits / "digits.onnx", "--target", "sym-npu", "-o", output, "--json"))
    assert facts.keys() == {
        "inputs",
        "outputs",
        "arena_bytes",
        "constant_bytes",
        "seconds",
        "passes",
        "files",
    }
    assert [tensor["name"] for tensor in facts["inputs"]] == ["image"]
    assert facts["inputs"][0].keys() == {"name", "shape", "dtype", "scale", "zero_point"}
    assert (facts["inputs"][0]["dtype"], facts["inputs"][0]["zero_point"]) == ("i8", -128)
    assert facts["outputs"][0]["shape"] == [1, 10]
    assert facts["arena_bytes"] > 0 < facts["constant_bytes"]
    assert {"symmetrize", "round-weights{method=closed-form}", "lower-to-int", "legalize"} <= {
        record["name"] for record in facts["passes"]
    }
    assert facts["files"] == [str(output), str(tmp_path / "my_kernel.h")]
    assert '#include "my_kernel.h"' in output.read_text()


def test_lower_to_text_and_run_that(mrqc: CommandLine, digits: Path, tmp_path: Path) -> None:
    text, verified = tmp_path / "net.mrq", tmp_path / "again.mrq"
    assert mrqc("lower", digits / "digits.onnx", "--target", "pow2-npu", "-o", text).code == 0
    module = library.load(text)
    assert module.fact("target") == "pow2-npu"
    assert library.simulate(module)
    assert mrqc("dump", text, "-o", verified).code == 0
    assert verified.read_text() == text.read_text()
    assert mrqc("verify", verified, "--samples", "3").out == "3 samples, 30 bytes, 0 differing bytes\n"


def test_lower_keeps_the_original_scales_if_asked(mrqc: CommandLine, clip_model: Path, tmp_path: Path) -> None:
    arguments = ("lower", clip_model, "--target", "pow2-npu", "-o", tmp_path / "k.c", "--json")
    original = json_of(mrqc(*arguments, "--io", "original"))
    assert original["inputs"][0] | {"name": ""} == {
        "name": "",
        "shape": [1, 6],
        "dtype": "u8",
        "scale": 0.5,
        "zero_point": 4,
    }
    assert json_of(mrqc(*arguments))["inputs"][0]["dtype"] == "i8"


def test_a_shorter_pipeline_can_be_written_as_text_only(mrqc: CommandLine, clip_model: Path, tmp_path: Path) -> None:
    arguments = ("lower", clip_model, "--target", "pow2-npu", "--passes", "requantize")
    facts = json_of(mrqc(*arguments, "-o", tmp_path / "half.mrq", "--json"))
    assert facts["arena_bytes"] is facts["constant_bytes"] is None
    assert [record["name"] for record in facts["passes"]] == library.passes.RECIPES["default"].split(",")
    assert "bytes" not in mrqc(*arguments, "-o", tmp_path / "half.mrq").err
    assert mrqc(*arguments, "-o", tmp_path / "half.c").code == 2
    assert not (tmp_path / "half.c").exists()


def test_calibration_data_without_a_pass_that_asks_has_no_influence(
    mrqc: CommandLine, clip_model: Path, labelled_data: Path, tmp_path: Path
) -> None:
    arguments = ("lower", clip_model, "--target", "pow2-npu", "-o", tmp_path / "k.mrq", "--passes", "requantize")
    assert mrqc(*arguments).code == 0
    without = (tmp_path / "k.mrq").read_text()
    result = mrqc(*arguments, "--calib", labelled_data, "--calib-limit", 2)
    assert result.code == 0
    assert (tmp_path / "k.mrq").read_text() == without


@pytest.mark.parametrize("recipe", ["fast", "default", "best"])
def test_every_recipe_works_on_every_command_that_lowers(
    mrqc: CommandLine, clip_model: Path, labelled_data: Path, tmp_path: Path, recipe: str
) -> None:
    options = ("--target", "pow2-npu", "--calib", labelled_data, "--calib-limit", 2, "--recipe", recipe)
    np.save(tmp_path / "x.npy", np.zeros((1, *np.load(labelled_data)["x"].shape[1:]), np.float32))
    for command in (
        ("lower", clip_model, "-o", tmp_path / "k.mrq"),
        ("verify", clip_model, "--samples", 2),
        ("evaluate", clip_model, "--data", labelled_data),
        ("run", clip_model, "--input", tmp_path / "x.npy"),
    ):
        result = mrqc(*command, *options)
        assert result.code == 0, result.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--target", "pow2-npu", "--calib-limit", 3), "--calib-limit: give --calib"),
        (("--target", "pow2-npu", "--mean", "1"), "--mean and --std: give --calib"),
        (("--target", "pow2-npu", "--resize"), "--resize: give --calib"),
        (("--target", "pow2-npu", "--recipe", "fast", "--passes", "requantize"), "give one of them"),
        (("--target", "pow2-npu", "--recipe", "slow"), "slow"),
        (("--recipe", "fast"), "--recipe: give --target"),
        (("--calib", "somewhere"), "--calib: give --target"),
    ],
)
def test_options_of_calibration_that_do_not_go_together(
    mrqc: CommandLine, clip_model: Path, tmp_path: Path, options: tuple[object, ...], message: str
) -> None:
    result = mrqc("lower", clip_model, "-o", tmp_path / "k.onnx", *options)
    assert result.code == 2
    assert message in result.err
    assert not (tmp_path / "k.onnx").exists()


def test_modules_between_passes_go_to_stderr(mrqc: CommandLine, clip_model: Path) -> None:
    result = mrqc("opt", clip_model, "--passes", "canonicalize", "--print-after", "all")
    assert result.code == 0
    assert "// after canonicalize" in result.err
    assert "// after" not in result.out
    assert library.parse(result.out) == library.load(clip_model)


def test_bits_are_checked(mrqc: CommandLine, clip_model: Path, tmp_path: Path) -> None:
    assert mrqc("opt", clip_model, "--passes", "canonicalize", "--check-bits").code == 0
    output = tmp_path / "k.c"
    assert mrqc("lower", clip_model, "--target", "pow2-npu", "-o", output, "--check-bits").code == 0


def test_dump_and_opt_make_a_round_trip(mrqc: CommandLine, digits: Path, tmp_path: Path) -> None:
    dumped = mrqc("dump", digits / "digits.onnx")
    assert dumped.code == 0, dumped.err
    read = mrqc("opt", "-", "-o", tmp_path / "net.mrq", stdin=dumped.out.encode())
    assert (read.code, read.out) == (0, "")
    assert library.load(tmp_path / "net.mrq") == library.load(digits / "digits.onnx")
    assert (tmp_path / "net.mrq").read_text() == dumped.out == mrqc("dump", tmp_path / "net.mrq").out


def test_the_commands_work_in_a_pipe(clip_model: Path) -> None:
    command = f"{sys.executable} -m mrqc dump {clip_model} | {sys.executable} -m mrqc opt - --passes canonicalize"
    found = subprocess.run(["sh", "-c", command], cwd=ROOT, capture_output=True, check=False)
    assert (found.returncode, found.stderr) == (0, b"")
    assert library.parse(found.stdout.decode()) == library.load(clip_model)


def test_a_dump_without_constants_is_short(mrqc: CommandLine, digits: Path) -> None:
    short = mrqc("dump", digits / "digits.onnx", "--elide-constants").out
    assert "nn.conv2d" in short
    assert len(short) < len(mrqc("dump", digits / "digits.onnx").out) / 2


def test_run_gives_the_codes_of_the_outputs(mrqc: CommandLine, clip_model: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "in.npy", np.array([[0, 5, 6, 20, 44, 255]], np.uint8))
    result = mrqc("run", clip_model, "--input", tmp_path / "in.npy", "-o", tmp_path / "out.npy")
    assert (result.code, result.out) == (0, "")
    assert np.load(tmp_path / "out.npy").tolist() == [[6, 6, 6, 20, 44, 44]]
    printed = mrqc("run", clip_model, "--input", tmp_path / "in.npy").out
    assert " ".join(printed.split()) == "y u8 [1, 6] scale 0.5, zero point 4 [ 6, 6, 6, 20, 44, 44]"


def test_run_takes_real_values_and_names(mrqc: CommandLine, clip_model: Path, tmp_path: Path) -> None:
    reals = np.array([[-9.0, 0.5, 1.0, 8.0, 20.0, 900.0], [2.0] * 6])
    np.savez(tmp_path / "in.npz", x=reals)
    found = json_of(mrqc("run", clip_model, "--input", tmp_path / "in.npz", "--json"))
    (output,) = found["outputs"]
    assert (output["name"], output["shape"], output["dtype"]) == ("y", [2, 6], "u8")
    assert output["values"] == [[6, 6, 6, 20, 44, 44], [8] * 6]


def test_numbers_that_json_does_not_have_become_null() -> None:
    types = {"y": TensorType((2,), FLOAT)}
    (entry,) = arrays_as_json({"y": np.array([1.5, np.inf])}, types)
    assert json.dumps(entry, allow_nan=False).endswith('"values": [1.5, null]}')


def test_both_engines_give_the_same_file(
    mrqc: CommandLine, clip_model: Path, labelled_data: Path, tmp_path: Path
) -> None:
    with np.load(labelled_data) as archive:
        np.save(tmp_path / "in.npy", archive["x"])
    found = []
    for engine in ("simulator", "c"):
        output = tmp_path / f"{engine}.npz"
        arguments = ("run", clip_model, "--target", "pow2-npu", "--input", tmp_path / "in.npy")
        assert mrqc(*arguments, "--engine", engine, "-o", output).code == 0
        with np.load(output) as archive:
            found.append({name: archive[name] for name in archive.files})
    assert found[0].keys() == found[1].keys() == {"y"}
    assert found[0]["y"].dtype == np.int8
    np.testing.assert_array_equal(found[0]["y"], found[1]["y"])


def test_a_trace_has_every_value(mrqc: CommandLine, digits: Path, tmp_path: Path) -> None:
    with np.load(digits / "test.npz") as archive:
        np.save(tmp_path / "in.npy", archive["x"][:2])
    result = mrqc("run", digits / "digits.onnx", "--input", tmp_path / "in.npy", "--trace", "-o", tmp_path / "t.npz")
    assert result.code == 0, result.err
    module = library.load(digits / "digits.onnx")
    with np.load(tmp_path / "t.npz") as archive:
        names = set(archive.files)
        assert archive["image"].shape == (2, 1, 8, 8)
    assert {value.name for value in module.graph.values()} <= names


def test_verify_counts_bytes(mrqc: CommandLine, digits: Path) -> None:
    found = json_of(mrqc("verify", digits / "digits.onnx", "--target", "pow2-npu", "--json"))
    assert {key: found[key] for key in ("samples", "total_bytes", "differing_bytes")} == {
        "samples": 16,
        "total_bytes": 160,
        "differing_bytes": 0,
    }


def test_verify_on_real_data_with_sanitizers(mrqc: CommandLine, digits: Path) -> None:
    result = mrqc(
        *("verify", digits / "digits.onnx", "--target", "sym-npu", "--sanitize"),
        *("--samples", "20", "--data", digits / "test.npz"),
    )
    assert (result.code, result.out) == (0, "20 samples, 200 bytes, 0 differing bytes\n"), result.err


def test_verify_takes_a_lowered_module(mrqc: CommandLine, integer_model: Path) -> None:
    assert mrqc("verify", integer_model, "--samples", "4").out.startswith("4 samples, 24 bytes, 0 differing")


def test_a_difference_is_our_bug(mrqc: CommandLine, integer_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    verification = library.report.Verification(1, 6, 2, "output 'y', sample 0, element 1 of 6: simulator 0, C 9")
    monkeypatch.setattr("mrqc.report.verification.verify_c", lambda *_, **__: verification)
    result = mrqc("verify", integer_model, "--json")
    assert result.code == 70
    assert json.loads(result.out)["differing_bytes"] == 2
    assert "this is a bug in mrqc" in result.err
    assert "element 1 of 6" in result.err


def test_evaluate_digits(mrqc: CommandLine, digits: Path) -> None:
    arguments = ("evaluate", digits / "digits.onnx", "--data", digits / "test.npz")
    found = json_of(mrqc(*arguments, "--target", "sym-npu", "--json"))
    contract = [
        "images",
        "top1",
        "top1_original",
        "top1_loss",
        "agreement",
        "kl",
        "lost",
        "gained",
        "images_per_second",
    ]
    assert set(contract) <= found.keys()
    assert found["images"] == 539
    assert found["top1_original"] > 0.9
    assert abs(found["top1_loss"]) < 0.03
    assert found["top1_loss"] == pytest.approx((found["lost"] - found["gained"]) / found["images"])
    table = mrqc(*arguments, "--target", "sym-npu", "--limit", "50").out
    assert table.splitlines()[0].split() == ["images", "50"]
    alone = json_of(mrqc(*arguments, "--limit", "50", "--json"))
    assert alone["top1"] is None
    assert alone["top1_original"] > 0.8


def test_evaluate_with_the_c_engine(mrqc: CommandLine, clip_model: Path, labelled_data: Path) -> None:
    arguments = ("evaluate", clip_model, "--target", "pow2-npu", "--data", labelled_data, "--json")
    simulated, compiled = json_of(mrqc(*arguments)), json_of(mrqc(*arguments, "--engine", "c"))
    simulated.pop("images_per_second")
    compiled.pop("images_per_second")
    assert simulated == compiled


def test_targets_are_listed_and_described(mrqc: CommandLine) -> None:
    listed = mrqc("targets").out
    for name in library.targets.BUILTIN_TARGETS:
        assert name in listed
        described = mrqc("targets", name)
        assert described.code == 0
        assert "int.conv2d" in described.out
        assert "rounding" in described.out


def test_passes_are_listed_with_their_options(mrqc: CommandLine) -> None:
    listed = mrqc("passes").out
    for pass_ in library.passes.PASSES:
        assert f"{pass_.name} " in listed
        for option, _, _ in library.passes.describe_options(pass_):
            assert f"{option}=" in listed
    for name in library.passes.PIPELINES:
        assert name in listed
    for name, passes in library.passes.RECIPES.items():
        assert any(line.split(maxsplit=1) == [name, passes] for line in map(str.strip, listed.splitlines()))


@pytest.mark.assets
@pytest.mark.parametrize("name", REAL_MODELS)
def test_real_models_make_a_round_trip_through_text(mrqc: CommandLine, assets: Path, tmp_path: Path, name: str) -> None:
    model = assets / "models" / f"{name}.onnx"
    assert mrqc("dump", model, "-o", tmp_path / "a.mrq").code == 0
    assert mrqc("opt", tmp_path / "a.mrq", "-o", tmp_path / "b.mrq").code == 0
    assert (tmp_path / "a.mrq").read_bytes() == (tmp_path / "b.mrq").read_bytes()
    assert library.load(tmp_path / "b.mrq") == library.load(model)
