"""The kernel files themselves: real C, each complete by itself, and in step with what the emitter says of them."""

import platform
import re
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import mrqc.backends.c
from mrqc.backends.c.binding import Binding, Scaling
from mrqc.backends.c.calls import Record
from mrqc.backends.c.harness import STRICT_FLAGS
from mrqc.backends.c.library import Selection, kernel_paths, source_file, suffix
from mrqc.backends.c.plan import plan_module
from mrqc.ir import Data, DType, Element, GraphBuilder, Module, Output, TensorType, Value
from mrqc.numerics import Rounding
from mrqc.ops import int as ops

KERNELS = Path(mrqc.backends.c.__file__).parent / "kernels"
CALLABLE = [path for path in kernel_paths() if path.endswith(".c")]
HEADERS = [path for path in kernel_paths() if path.endswith(".h")]


def compile_text(text: str, folder: Path, *command: str) -> str:
    """Compile a file and return what the compiler says; an empty string is what we want."""
    (folder / "unit.c").write_text(text)
    found = subprocess.run([*command, "-c", "unit.c"], cwd=folder, capture_output=True, text=True, check=False)
    return found.stderr if found.returncode or found.stderr else ""


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("path", CALLABLE)
def test_a_kernel_compiles_by_itself(path: str, compiler: str, tmp_path: Path) -> None:
    command = (compiler, *STRICT_FLAGS, "-O2", f"-I{KERNELS}")
    assert compile_text((KERNELS / path).read_text(), tmp_path, *command) == ""


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_every_header_compiles_by_itself(compiler: str, tmp_path: Path) -> None:
    assert len(HEADERS) > 20
    for path in HEADERS:
        text = f'#include "{path}"\n#include "{path}"\ntypedef int not_empty;\n'
        assert compile_text(text, tmp_path, compiler, *STRICT_FLAGS, "-fsyntax-only", f"-I{KERNELS}") == "", path


def test_files_with_slots_define_functions_only() -> None:
    """Anything else would be defined once for each binding."""
    for path in kernel_paths():
        if path.startswith("slots/") or not suffix(path, Binding()):
            continue
        text = re.sub(r"/\*.*?\*/", "", source_file(path).text, flags=re.DOTALL)
        starts = [line for line in text.splitlines() if re.match(r"[A-Za-z#]", line)]
        assert starts, path
        assert all(re.match(r"(static inline |void )[\w ]*[ *]?\w+\(", line) for line in starts), path


def test_kernels_use_no_floating_point_and_no_library() -> None:
    for path in kernel_paths():
        text = re.sub(r"/\*.*?\*/", "", (KERNELS / path).read_text(), flags=re.DOTALL)
        assert not re.search(r"\b(float|double|malloc|free|printf|goto|restrict)\b", text), path
        assert set(re.findall(r"#include <(.*)>", text)) <= {"stdint.h", "string.h"}, path
        assert not re.search(r"^static (?!inline)", text, re.MULTILINE), f"{path} has a variable of its own"


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_every_binding_of_a_kernel_compiles(compiler: str, tmp_path: Path) -> None:
    selection = Selection()
    bindings = [Binding(rounding=rounding, scaling=scaling) for rounding in Rounding for scaling in Scaling]
    bindings += [
        Binding(input=dtype, other=dtype, output=result)
        for dtype, result in ((DType.U8, DType.U8), (DType.I16, DType.I16), (DType.I32, DType.I32))
    ]
    wide = Binding(scaling=Scaling.WIDE_MULTIPLIER, accumulator_bits=64, sum_bits=64)
    names = {selection.add(path, binding) for path in CALLABLE for binding in bindings}
    names |= {selection.add(path, wide) for path in ("add.c", "softmax.c")}
    assert len(names) > 100
    # A function that nothing calls is a warning, so that its address is taken.
    pointers = "".join(f"    (void)&{name};\n" for name in sorted(names))
    includes = "#include <stdint.h>\n#include <string.h>\n"
    text = f"{includes}{selection.text}\nvoid all(void);\nvoid all(void)\n{{\n{pointers}}}\n"
    assert compile_text(text, tmp_path, compiler, *STRICT_FLAGS, "-O1") == ""


def test_what_is_not_needed_is_left_out() -> None:
    selection = Selection()
    assert selection.add("clamp.c", Binding(input=DType.U8, output=DType.U8)) == "clamp_u8_u8"
    assert set(re.findall(r"\w+(?=\()", re.sub(r"/\*.*?\*/", "", selection.text, flags=re.DOTALL))) <= {
        "clamp_u8_u8",
        "load_u8",
        "store_u8",
        "for",
    }
    assert selection.stack_bytes == 0


def test_a_file_is_taken_once_for_each_binding() -> None:
    selection = Selection()
    binding = Binding()
    selection.add("rescale.c", binding)
    once = selection.text
    assert selection.add("rescale.c", replace(binding, other=DType.I16)) == "rescale_i8_i8_shift_half_up"
    assert selection.text == once
    selection.add("rescale.c", replace(binding, rounding=Rounding.FLOOR))
    assert selection.text.count("static inline int32_t shift_right_32(") == 1
    assert selection.text.count("static void rescale_i8_i8_shift_floor(") == 1


def one_of_each_record() -> dict[str, Record]:
    """Return a record of every struct that the emitter initializes, by the name of the struct."""
    element = Element.per_tensor(DType.I8, 0.5)
    scales = ops.Requantize((3,), (4,), Rounding.HALF_UP, 0, -128, 127)
    builder = GraphBuilder()

    def constant(array: NDArray[Any]) -> Value:
        return builder.emit(ops.Constant(Data(array), element))

    found = builder.add_input("x", TensorType((1, 4, 4, 32), element))
    found = builder.emit(ops.AveragePool2D(found, (2, 2), (1, 1), (0, 0, 0, 0), scales, element))
    for kernel in (1, 2):
        weights = constant(np.ones((32, kernel, kernel, 32), np.int8))
        found = builder.emit(ops.Conv2D(found, weights, requantize=scales, element=element))
    found = builder.emit(ops.Transpose(builder.emit(ops.Reshape(found, (4, 32))), (1, 0)))
    found = builder.emit(ops.Sum(builder.emit(ops.Reshape(found, (32, 2, 2))), (1,), False, 0, scales, element))
    found = builder.emit(ops.DoubleRescale(found, (0.1,), 0, -128, 127, element))
    square = constant(np.ones((2, 2), np.int8))
    found = builder.emit(ops.BatchMatMul(found, square, requantize=scales, element=element))
    found = builder.emit(ops.Pad(found, (0, 0, 1, 1), 0))
    found = builder.emit(ops.Take(found, 1, (2, 1, 3)))
    found = builder.emit(ops.Slice(found, (0, 2), (32, 2), (1, -2)))
    row = ops.Interpolation((0,), (1,), (1,))
    images = builder.emit(ops.Reshape(found, (1, 8, 8, 1)))
    resized = builder.emit(ops.ResizeBilinear(images, row, row, 2, Rounding.HALF_UP))
    found = builder.emit(ops.Concat((images, builder.emit(ops.Take(resized, 1, (0,) * 8))), 2, element))
    searched = builder.emit(ops.ArgMax(found, 1))
    table = builder.emit(ops.Constant(Data(np.ones(256, np.int32)), Element(DType.I32)))
    found = builder.emit(ops.Softmax(found, table, 1, 0, -128, 127, element))
    found = builder.emit(ops.BatchMatMul(found, found, adjoint_rhs=True, requantize=scales, element=element))
    scaling = ops.OperandScaling(0, 0, 1, 0)
    found = builder.emit(ops.RescaledAdd(found, found, scaling, scaling, scales, element))
    found = builder.emit(ops.ReciprocalSoftmax(found, table, element))
    found = builder.emit(ops.LogSoftmax(found, table, table, 1, 1, 0, Rounding.HALF_UP, element))
    wide = Element.per_tensor(DType.I16, 0.5)
    places = builder.emit(ops.Constant(Data(np.ones(513, np.int16)), Element(DType.I16)))
    every_code = builder.emit(ops.Constant(Data(np.ones(256, np.int16)), Element(DType.I16)))
    found = builder.emit(ops.Table(found, every_code, wide))
    found = builder.emit(ops.InterpolatedSoftmax(found, places, places, 1, 0, Rounding.HALF_UP, wide))
    plan = plan_module(Module("records", builder.finish([Output("y", found), Output("i", searched)])))
    return {record.type.removeprefix("struct "): record for record in plan.records()}


def test_records_have_the_fields_of_their_structs() -> None:
    records = one_of_each_record()
    declared = {
        name for path in HEADERS for name in re.findall(r"^struct (\w+) {$", (KERNELS / path).read_text(), re.MULTILINE)
    }
    assert records.keys() == declared - {"tap_range", "interpolation", "broadcast_run"}
    for name, record in records.items():
        assert [field for field, _ in record.fields] == struct_fields(name)


def struct_fields(name: str) -> list[str]:
    """Return the fields of a struct as the kernels declare it, in order."""
    for path in HEADERS:
        found = re.search(rf"^struct {name} {{\n(.*?)^}};", (KERNELS / path).read_text(), re.DOTALL | re.MULTILINE)
        if found:
            return re.findall(r"int32_t (\w+)(?:\[\w+\])?;", found[1])
    raise AssertionError(f"no kernel declares struct {name}")


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="reads x86-64 assembly")
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("width", ["", "#define MRQC_WIDTH_64\n"], ids=["32", "64"])
def test_the_defined_right_shift_costs_one_instruction(compiler: str, width: str, tmp_path: Path) -> None:
    text = (
        f'{width}#include "shift_right.h"\nwide_t shifted(wide_t value, int32_t amount);\n'
        "wide_t shifted(wide_t value, int32_t amount)\n{\n    return shift_right(value, amount);\n}\n"
    )
    (tmp_path / "unit.c").write_text(text)
    command = [compiler, "-std=c99", "-O2", f"-I{KERNELS}", "-S", "-o", "-", "unit.c"]
    assembly = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    instructions = re.findall(r"^\t([a-z]+)", assembly, re.MULTILINE)
    assert [name for name in instructions if name[:3] in ("sar", "shr", "not", "xor", "cmo", "neg")] in (
        ["sarl"],
        ["sarq"],
    )
