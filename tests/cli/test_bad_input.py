"""One clear message, the right exit code, no traceback, and the files that were there untouched."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from command_line import ROOT, CommandLine, Result, run_process
from onnx import TensorProto, helper


def assert_refused(result: Result, code: int, *fragments: str) -> None:
    assert result.code == code, result.err
    assert result.out == ""
    assert "Traceback" not in result.err
    assert result.err.count("error:") == 1
    assert result.err.startswith("mrqc: error: ")
    for fragment in fragments:
        assert fragment in result.err


def onnx_with_unsupported_nodes(path: Path) -> Path:
    nodes = [
        helper.make_node("Einsum", ["x", "x"], ["a"], name="first", equation="ij,ij->ij"),
        helper.make_node("NonZero", ["a"], ["y"], name="second"),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 2])
    y = helper.make_tensor_value_info("y", TensorProto.INT64, None)
    onnx.save(helper.make_model(helper.make_graph(nodes, "g", [x], [y])), path)
    return path


def test_a_truncated_onnx_file(digits: Path, tmp_path: Path) -> None:
    model = tmp_path / "short.onnx"
    content = (digits / "digits.onnx").read_bytes()
    model.write_bytes(content[: len(content) // 2])
    (tmp_path / "out.c").write_text("precious")
    result = run_process("lower", model, "--target", "pow2-npu", "-o", tmp_path / "out.c")
    assert_refused(result, 1, "short.onnx")
    assert (tmp_path / "out.c").read_text() == "precious"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.c", "short.onnx"]


def test_every_unsupported_node_is_named(mrqc: CommandLine, tmp_path: Path) -> None:
    result = mrqc("dump", onnx_with_unsupported_nodes(tmp_path / "odd.onnx"))
    assert_refused(result, 1, "odd.onnx", "first", "Einsum", "second", "NonZero")


@pytest.mark.parametrize("target", ["sym-npu", "tflite", "onnxruntime"])
def test_a_float_model_for_a_target_is_one_problem(mrqc: CommandLine, tmp_path: Path, target: str) -> None:
    weight = helper.make_tensor("w", TensorProto.FLOAT, [2, 2], [1.0, 2.0, 3.0, 4.0])
    nodes = [helper.make_node("MatMul", ["x", "w"], ["a"]), helper.make_node("Relu", ["a"], ["y"])]
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 2]) for name in "xy")
    path = tmp_path / "real.onnx"
    opset = [helper.make_opsetid("", 13)]
    onnx.save(helper.make_model(helper.make_graph(nodes, "g", [x], [y], [weight]), opset_imports=opset), path)
    result = mrqc("lower", path, "--target", target, "-o", tmp_path / "out.c")
    assert_refused(result, 1, "module real is a float model, nothing in it is quantized", "quantize it first")
    assert not (tmp_path / "out.c").exists()


@pytest.mark.parametrize("command", ["dump", "opt"])
def test_a_missing_model(mrqc: CommandLine, tmp_path: Path, command: str) -> None:
    assert_refused(mrqc(command, tmp_path / "gone.onnx"), 1, "gone.onnx: no such file")


@pytest.mark.parametrize("name", ["folder", "folder.onnx"])
def test_a_directory_for_a_model(mrqc: CommandLine, tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    assert_refused(mrqc("dump", tmp_path / name), 1, f"{name}: is a directory, not a model file")


@pytest.mark.parametrize(("name", "hint"), [("a.tflite", "not a TFLite model"), ("a.txt", ".onnx"), ("model", ".onnx")])
def test_another_kind_of_file(mrqc: CommandLine, tmp_path: Path, name: str, hint: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    assert_refused(mrqc("dump", tmp_path / name), 1, name, hint)


def test_text_that_is_not_utf8(mrqc: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "bad.mrq").write_bytes(b"module \xff\n")
    assert_refused(mrqc("opt", tmp_path / "bad.mrq"), 1, "bad.mrq: not UTF-8 text: byte 0xff at 7")
    assert_refused(mrqc("opt", "-", stdin=b"module \xff\n"), 1, "<stdin>: not UTF-8 text: byte 0xff at 7")


def test_text_that_does_not_parse_points_at_the_place(mrqc: CommandLine, clip_model: Path) -> None:
    clip_model.write_text(clip_model.read_text().replace("nn.clip", "nn.clop"))
    assert_refused(mrqc("opt", clip_model), 1, "clip.mrq:", "nn.clop", "^")


@pytest.mark.parametrize(
    ("array", "fragments"),
    [
        (np.zeros((2, 5), np.uint8), ("[2, 5]", "[N, 6]")),
        (np.zeros(6, np.uint8), ("[6]", "[N, 6]")),
        (np.zeros((2, 6), np.int16), ("int16", "uint8")),
    ],
    ids=["width", "rank", "dtype"],
)
def test_an_input_that_does_not_fit(
    mrqc: CommandLine, clip_model: Path, tmp_path: Path, array: np.ndarray, fragments: tuple[str, ...]
) -> None:
    np.save(tmp_path / "in.npy", array)
    assert_refused(mrqc("run", clip_model, "--input", tmp_path / "in.npy"), 1, "in.npy", "'x'", *fragments)


def test_inputs_by_wrong_names(mrqc: CommandLine, clip_model: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "in.npz", image=np.zeros((1, 6), np.uint8))
    result = mrqc("run", clip_model, "--input", tmp_path / "in.npz")
    assert_refused(result, 1, "no array for input 'x'", "no input 'image'")


def test_an_input_file_that_is_missing(mrqc: CommandLine, clip_model: Path, tmp_path: Path) -> None:
    assert_refused(mrqc("run", clip_model, "--input", tmp_path / "in.npy"), 1, "in.npy: no such file")


def test_an_unknown_target(mrqc: CommandLine, clip_model: Path, tmp_path: Path) -> None:
    result = mrqc("lower", clip_model, "--target", "pow2-npv", "-o", tmp_path / "k.c")
    assert_refused(result, 1, "no target is called 'pow2-npv'", "did you mean pow2-npu?")
    assert_refused(mrqc("targets", tmp_path / "gone.toml"), 1, "gone.toml")


def test_a_target_file_with_a_typo(mrqc: CommandLine, clip_model: Path, tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "mrqc" / "targets" / "pow2-npu.toml").read_text()
    (tmp_path / "mine.toml").write_text(text.replace("rounding =", "roundnig ="))
    (tmp_path / "k.c").write_text("precious")
    result = mrqc("lower", clip_model, "--target", tmp_path / "mine.toml", "-o", tmp_path / "k.c")
    assert_refused(result, 1, "mine.toml", "requantize.roundnig", "did you mean 'rounding'?")
    assert (tmp_path / "k.c").read_text() == "precious"


def test_a_target_that_cannot_run_the_model(mrqc: CommandLine, clip_model: Path, tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "mrqc" / "targets" / "pow2-npu.toml").read_text()
    (tmp_path / "mine.toml").write_text(text.replace('"int.clamp" = { on = "accelerator" }\n', ""))
    result = mrqc("lower", clip_model, "--target", tmp_path / "mine.toml", "-o", tmp_path / "k.c")
    assert_refused(result, 3, "int.clamp")
    assert not (tmp_path / "k.c").exists()


def test_a_model_without_scales_cannot_be_lowered(mrqc: CommandLine, softmax_model: Path, tmp_path: Path) -> None:
    result = mrqc("lower", softmax_model, "--target", "pow2-npu", "-o", tmp_path / "k.c")
    assert_refused(result, 1, "softmax")
    assert not (tmp_path / "k.c").exists()


def test_a_compiler_that_is_not_there(mrqc: CommandLine, integer_model: Path) -> None:
    assert_refused(mrqc("verify", integer_model, "--compiler", "no-such-cc"), 1, "no-such-cc")


@pytest.mark.parametrize("output", ["file/k.c", "gone/k.c", "folder.c"])
def test_outputs_that_cannot_be_written(mrqc: CommandLine, integer_model: Path, tmp_path: Path, output: str) -> None:
    (tmp_path / "file").write_text("precious")
    (tmp_path / "folder.c").mkdir()
    before = sorted(tmp_path.rglob("*"))
    result = mrqc("lower", integer_model, "--target", "pow2-npu", "-o", tmp_path / output)
    assert_refused(result, 1, output, "cannot be written")
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "file").read_text() == "precious"


def test_the_header_in_the_way_leaves_the_source_untouched(mrqc: CommandLine, clip_model: Path, tmp_path: Path) -> None:
    (tmp_path / "k.c").write_text("precious")
    (tmp_path / "k.h").mkdir()
    result = mrqc("lower", clip_model, "--target", "pow2-npu", "-o", tmp_path / "k.c")
    assert_refused(result, 1, "k.h: cannot be written: it is a directory")
    assert (tmp_path / "k.c").read_text() == "precious"


@pytest.mark.skipif(os.geteuid() == 0, reason="permissions do not bind root")
def test_a_read_only_directory(mrqc: CommandLine, clip_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o555)
    result = mrqc("dump", clip_model, "-o", folder / "net.mrq")
    assert_refused(result, 1, "no permission to write in", "locked")


def test_data_that_does_not_fit(mrqc: CommandLine, clip_model: Path, tmp_path: Path) -> None:
    assert_refused(mrqc("evaluate", clip_model, "--data", tmp_path / "gone"), 1, "gone: no such file or folder")
    np.savez(tmp_path / "d.npz", x=np.zeros((3, 7), np.uint8))
    assert_refused(mrqc("evaluate", clip_model, "--data", tmp_path / "d.npz"), 1, "[1, 7]", "[N, 6]")
    np.savez(tmp_path / "d.npz", x=np.zeros((3, 6), np.uint8), y=np.array([0, 6, 1]))
    assert_refused(mrqc("evaluate", clip_model, "--data", tmp_path / "d.npz"), 1, "1 of 3 labels")
    result = mrqc("lower", clip_model, "--target", "pow2-npu", "-o", tmp_path / "k.c", "--calib", tmp_path / "gone")
    assert_refused(result, 1, "gone: no such file or folder")


def test_a_reader_that_goes_away_is_no_error(clip_model: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as closed:
        found = subprocess.run(
            [sys.executable, "-m", "mrqc", "dump", str(clip_model)],
            stdout=closed,
            stderr=subprocess.PIPE,
            cwd=ROOT,
            check=False,
        )
    assert found.returncode == 141
    assert found.stderr == b""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_said(clip_model: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        found = subprocess.run(
            [sys.executable, "-m", "mrqc", "dump", str(clip_model)],
            stdout=full,
            stderr=subprocess.PIPE,
            cwd=ROOT,
            check=False,
        )
    assert found.returncode == 1
    assert found.stderr == b"mrqc: error: stdout: cannot be written: No space left on device\n"


USAGE = [
    (["frobnicate"], "frobnicate"),
    (["dump"], "MODEL"),
    (["dump", "MODEL", "--report", "x.html"], "--report"),
    (["lower", "MODEL", "-o", "k.c"], "--target"),
    (["lower", "MODEL", "--target", "pow2-npu"], "--output"),
    (["lower", "MODEL", "--target", "pow2-npu", "-o", "k.xyz"], ".xyz"),
    (["lower", "MODEL", "--target", "pow2-npu", "-o", "k"], "--emit"),
    (["lower", "MODEL", "-o", "k.onnx", "--onnx-form", "tensors"], "tensors"),
    (["lower", "MODEL", "-o", "k.tflite", "--emit", "mrq"], "--target"),
    (["lower", "MODEL", "--target", "pow2-npu", "-o", "k.c", "--emit", "pdf"], "pdf"),
    (["lower", "MODEL", "--target", "pow2-npu", "-o", "k.h", "--emit", "c"], "name the C source"),
    (["lower", "MODEL", "--target", "pow2-npu", "-o", "k.c", "--cpu", "native"], "--cpu native"),
    (["lower", "MODEL", "--target", "pow2-npu", "-o", "k.c", "--io", "mine"], "mine"),
    (["lower", "MODEL", "--target", "pow2-npu", "-o", "k.c", "--passes", "canonicalise"], "canonicalize"),
    (["lower", "MODEL", "--target", "pow2-npu", "-o", "k.c", "--print-after", "nothing"], "nothing"),
    (["opt", "MODEL", "--passes", "requantize"], "needs a target"),
    (["opt", "MODEL", "--passes", "canonicalize{speed=1}"], "speed"),
    (["run", "MODEL", "--input", "DATA", "--engine", "c"], "--target is needed"),
    (["run", "MODEL", "--input", "DATA", "--engine", "c", "--trace"], "--trace"),
    (["run", "MODEL", "--input", "DATA", "-o", "out.txt"], ".npz or .npy"),
    (["run", "MODEL", "--input", "DATA", "-o", "out.npy", "--trace"], "holds one array"),
    (["verify", "MODEL"], "--target is needed"),
    (["verify", "MODEL", "--target", "pow2-npu", "--samples", "0"], "--samples"),
    (["verify", "MODEL", "--target", "pow2-npu", "--cpu", "native"], "--cpu native"),
    (["evaluate", "MODEL", "--data", "DATA", "--engine", "c"], "--target"),
    (["evaluate", "MODEL", "--data", "DATA", "--mean", "grey"], "--mean"),
    (["evaluate", "MODEL", "--data", "DATA", "--limit", "0"], "--limit"),
    (["compare", "MODEL", "MODEL"], "compare"),
]


@pytest.mark.parametrize(("arguments", "fragment"), USAGE, ids=[" ".join(arguments) for arguments, _ in USAGE])
def test_usage(
    mrqc: CommandLine,
    clip_model: Path,
    labelled_data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    fragment: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    names = {"MODEL": clip_model, "DATA": labelled_data}
    result = mrqc(*(names.get(argument, argument) for argument in arguments))
    assert result.code == 2, result.err
    assert result.out == ""
    assert fragment in result.err
    assert "Traceback" not in result.err
    assert sorted(tmp_path.iterdir()) == before


def test_a_bug_is_called_one(mrqc: CommandLine, clip_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stumble(*_: object, **__: object) -> str:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr("mrqc.compiler.print_module", stumble)
    result = mrqc("dump", clip_model)
    assert_refused(result, 70, "this is a bug in mrqc: ZeroDivisionError: division by zero", "MRQC_TRACEBACK=1")
    monkeypatch.setenv("MRQC_TRACEBACK", "1")
    assert "Traceback (most recent call last)" in mrqc("dump", clip_model).err


def test_a_broken_pass_leaves_a_reproducer(
    mrqc: CommandLine, clip_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stumble(*_: object) -> object:
        raise KeyError("lost")

    monkeypatch.setattr("mrqc.passes.Canonicalize.__call__", stumble)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    result = mrqc("opt", clip_model, "--passes", "canonicalize")
    assert_refused(result, 70, "this is a bug in mrqc", "pass canonicalize", "reproducer:", "mrqc opt")
    assert [path.suffix for path in tmp_path.glob("mrqc-*")] == [".mrq"]
