"""The harness: finds a compiler, guards the buffers, and tells whose fault a failure is."""

import subprocess
from pathlib import Path

import numpy as np
import pytest

from mrqc.backends.c import CompiledKernel, KernelFailure
from mrqc.backends.c.harness import STRICT_FLAGS, find_compiler
from mrqc.errors import InputError
from mrqc.ir import DType, Element, GraphBuilder, Module, Output, TensorType
from mrqc.ops import int as ops


def clamps() -> Module:
    """Return a module with an 8-bit and a 16-bit input, and an output of each."""
    builder = GraphBuilder()
    x = builder.add_input("x", TensorType((2, 5), Element.per_tensor(DType.I8, 0.5)))
    y = builder.add_input("y", TensorType((3,), Element.per_tensor(DType.I16, 0.5)))
    inner = builder.emit(ops.Clamp(x, -9, 9))
    outputs = [Output("a", builder.emit(ops.Clamp(inner, -5, 5))), Output("b", builder.emit(ops.Clamp(y, 0, 300)))]
    return Module("clamps", builder.finish(outputs))


def inputs(batches: int) -> dict[str, np.ndarray]:
    x = np.arange(-10, 10 * batches - 10, dtype=np.int8).reshape(2 * batches, 5)
    return {"x": x, "y": np.arange(-400, -400 + 300 * batches, 100, dtype=np.int16)}


@pytest.mark.parametrize("batches", [1, 3])
def test_outputs_are_those_of_each_batch(batches: int) -> None:
    fed = inputs(batches)
    with CompiledKernel(clamps()) as kernel:
        found = kernel.run(fed)
        again = kernel.run(fed)
    assert np.array_equal(found["a"], fed["x"].clip(-5, 5))
    assert np.array_equal(found["b"], fed["y"].clip(0, 300))
    assert (found["a"].dtype, found["b"].dtype) == (np.int8, np.int16)
    assert all(np.array_equal(found[name], again[name]) for name in found)


def test_real_values_are_quantized() -> None:
    with CompiledKernel(clamps()) as kernel:
        found = kernel.run({"x": np.full((2, 5), 1.5), "y": np.zeros(3)})
    assert np.array_equal(found["a"], np.full((2, 5), 3))


def test_the_temporary_folder_goes_and_a_given_one_stays(tmp_path: Path) -> None:
    kernel = CompiledKernel(clamps())
    folder = Path(kernel._temporary.name) if kernel._temporary else tmp_path
    assert (folder / "kernel.c").is_file()
    kernel.close()
    assert not folder.exists()
    with CompiledKernel(clamps(), "mine", directory=tmp_path / "new") as kept:
        kept.run(inputs(1))
    assert {path.name for path in (tmp_path / "new").iterdir()} == {"mine.c", "mine.h", "main.c", "mine_main"}


def test_time_is_measured() -> None:
    with CompiledKernel(clamps()) as kernel:
        assert 0 <= kernel.seconds_per_sample(inputs(2), repeats=3) < 1


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": np.zeros((2, 5), np.int8)}, "input 'y' is missing"),
        ({**inputs(1), "z": np.zeros(1)}, "no input 'z'"),
        ({**inputs(1), "y": np.zeros(3, np.int8)}, "int16"),
        ({**inputs(1), "x": np.zeros((2, 4), np.int8)}, "shape"),
        ({**inputs(2), "y": np.zeros(3, np.int16)}, "same number of batches"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(arrays: dict[str, np.ndarray], message: str) -> None:
    with CompiledKernel(clamps()) as kernel, pytest.raises(InputError, match=message):
        kernel.run(arrays)


def test_a_compiler_is_found_by_argument_then_environment_then_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "clang -m64")
    assert find_compiler("gcc") == ["gcc"]
    assert find_compiler() == ["clang", "-m64"]
    monkeypatch.delenv("CC")
    assert find_compiler()[0] in ("gcc", "cc", "clang")


def test_no_compiler_is_the_users_problem(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no C compiler found under the name no-such-cc"):
        CompiledKernel(clamps(), compiler="no-such-cc")
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match=r"gcc or cc or clang.*environment variable CC"):
        CompiledKernel(clamps())


def test_code_that_does_not_compile_is_our_problem(tmp_path: Path) -> None:
    with pytest.raises(KernelFailure, match="unrecognized command-line option") as caught:
        CompiledKernel(clamps(), compiler="gcc", extra_flags=["--no-such-flag"], directory=tmp_path)
    assert caught.value.exit_code == 70


FAULTS = {
    "before the arena": ("arena[-1] = 0;", "arena"),
    "behind the arena": ("arena[KERNEL_ARENA_BYTES] = 0;", "arena"),
    "before an output": ("a[-1] = 0;", "output_0"),
    "behind an output": ("b[3] = 0;", "output_1"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_write_beside_a_buffer_is_found(fault: str, tmp_path: Path) -> None:
    line, buffer = FAULTS[fault]
    with CompiledKernel(clamps(), directory=tmp_path) as kernel:
        source = tmp_path / "kernel.c"
        text = source.read_text()
        source.write_text(text[: text.rindex("}")] + f"    {line}\n}}\n")
        command = ["gcc", *STRICT_FLAGS, "-o", "kernel_main", "kernel.c", "main.c"]
        subprocess.run(command, cwd=tmp_path, check=True)
        with pytest.raises(KernelFailure, match=f"written outside of {buffer}"):
            kernel.run(inputs(1))


def test_undefined_behaviour_stops_a_sanitized_kernel(tmp_path: Path) -> None:
    with CompiledKernel(clamps(), directory=tmp_path, sanitize=True) as kernel:
        kernel.run(inputs(1))
        source = tmp_path / "kernel.c"
        text = source.read_text()
        source.write_text(
            text[: text.rindex("}")] + "    {\n        int n = y[0];\n        b[0] = (int16_t)(n << 31);\n    }\n}\n"
        )
        flags = ["-g", "-fsanitize=undefined", "-fno-sanitize-recover=all"]
        subprocess.run(["gcc", "-std=c99", *flags, "-o", "kernel_main", "kernel.c", "main.c"], cwd=tmp_path, check=True)
        with pytest.raises(KernelFailure, match="runtime error"):
            kernel.run(inputs(1))
