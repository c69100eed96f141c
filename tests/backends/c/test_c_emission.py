"""The emitted text: what it promises to compilers, to readers, and to whoever includes the header."""

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from compiled_cases import assert_bits, extreme_inputs
from hypothesis import given, settings
from hypothesis import strategies as st

from mrqc.backends.c import CompiledKernel, MemoryReport, emit_c, memory_report
from mrqc.backends.c.harness import STRICT_FLAGS
from mrqc.backends.simulator import Program
from mrqc.errors import UsageError
from mrqc.ir import Data, DType, Element, GraphBuilder, Location, Module, Output, Quantization, TensorType, Value
from mrqc.numerics import Rounding
from mrqc.ops import int as ops
from mrqc.testing import int_modules
from mrqc.testing.merging import side_by_side

CODES = Element.per_tensor(DType.I8, 0.0078125)
BYTES = Element.per_tensor(DType.U8, 0.1, 7)
PLAIN = ops.Requantize((1,), (6,), Rounding.HALF_UP, 0, -128, 127)


class Network:
    """Builds modules of 8-bit images, each layer with a location of its own."""

    def __init__(self, name: str = "image", element: Element = CODES) -> None:
        self.builder = GraphBuilder()
        self.random = np.random.default_rng(5)
        self.x = self.builder.add_input(name, TensorType((1, 6, 6, 4), element))

    def conv(self, operand: Value, outputs: int = 4, source: str = "features/conv") -> Value:
        shape = (outputs, 3, 3, operand.type.shape[3])
        weights = self.builder.emit(ops.Constant(Data(self.random.integers(-128, 128, shape, np.int8)), CODES))
        bias = self.random.integers(-999, 999, outputs).astype(np.int32)
        biases = self.builder.emit(ops.Constant(Data(bias), Element.per_tensor(DType.I32, 0.001)))
        op = ops.Conv2D(operand, weights, biases, padding=(1, 1, 1, 1), requantize=PLAIN, element=CODES)
        return self.builder.emit(op, Location.of(source))

    def clamp(self, operand: Value) -> Value:
        return self.builder.emit(ops.Clamp(operand, 0, 100), Location.of("features/relu"))

    def reshape(self, operand: Value, *shape: int) -> Value:
        return self.builder.emit(ops.Reshape(operand, shape), Location.of("flatten"))

    def finish(self, *outputs: Output, **facts: str) -> Module:
        return Module("network", self.builder.finish(outputs)).with_facts(**facts)


def small_network() -> Module:
    network = Network()
    hidden = network.conv(network.x)
    total = network.builder.emit(
        ops.Add(hidden, network.conv(hidden), 1, 1, ops.Requantize((1,), (1,), Rounding.HALF_EVEN, 0, -128, 127), CODES)
    )
    scores = network.reshape(network.clamp(total), 1, 144)
    return network.finish(Output("scores", scores), source="model.onnx", target="pow2-npu", mrqc="0.1.0")


def compile_sources(sources: dict[str, str], folder: Path, *command: str) -> str:
    for file, text in sources.items():
        (folder / file).write_text(text, encoding="ascii")
    found = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return found.stderr if found.returncode or found.stderr else ""


@pytest.mark.parametrize("optimization", ["-O0", "-O2", "-O3"])
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_the_source_compiles_without_a_word(compiler: str, optimization: str, tmp_path: Path) -> None:
    command = (compiler, *STRICT_FLAGS, "-Wshadow", "-Wcast-qual", optimization, "-c", "kernel.c")
    assert compile_sources(emit_c(small_network()), tmp_path, *command) == ""


@pytest.mark.parametrize("compiler", ["g++", "clang++"])
@pytest.mark.parametrize("standard", ["c++11", "c++20"])
def test_the_source_is_cpp_too(compiler: str, standard: str, tmp_path: Path) -> None:
    sources = emit_c(small_network())
    call = "static int8_t in[144], out[144]; static uint8_t arena[KERNEL_ARENA_BYTES]; kernel_run(in, out, arena);"
    sources["main.cpp"] = f'#include "kernel.h"\nint main() {{ {call} }}\n'
    command = (compiler, "-x", "c++", f"-std={standard}", "-Wall", "-Wextra", "-Werror", "-O1", "kernel.c", "main.cpp")
    assert compile_sources(sources, tmp_path, *command) == ""


@pytest.mark.parametrize(("depth", "outputs"), [(7, 8), (13, 8), (3, 33), (300, 5)])
def test_optimizers_find_nothing_to_warn_of_in_a_lone_layer(depth: int, outputs: int, tmp_path: Path) -> None:
    """With one call of a kernel its shape is known throughout, and the analysis of loops goes furthest."""
    builder = GraphBuilder()
    x = builder.add_input("x", TensorType((2, depth), CODES))
    weights = builder.emit(ops.Constant(Data(np.ones((outputs, depth), np.int8)), CODES))
    y = builder.emit(ops.FullyConnected(x, weights, requantize=PLAIN, element=CODES))
    sources = emit_c(Module("lone", builder.finish([Output("y", y)])))
    for compiler, optimization in (("gcc", "-O2"), ("gcc", "-O3"), ("clang", "-O3")):
        assert compile_sources(sources, tmp_path, compiler, *STRICT_FLAGS, optimization, "-c", "kernel.c") == ""


def test_all_kernels_as_optimized_cpp_give_the_bits_of_the_simulator(tmp_path: Path) -> None:
    module = small_network()
    inputs = extreme_inputs(module, 3)
    with CompiledKernel(module, directory=tmp_path):
        (tmp_path / "kernel_main").unlink()
    command = ("g++", "-x", "c++", "-O3", "-Wall", "-Wextra", "-Werror", "-o", "again", "kernel.c", "main.c")
    assert compile_sources({}, tmp_path, *command) == ""
    inputs["image"].tofile(tmp_path / "inputs")
    subprocess.run(["./again", "inputs", "outputs", "3", "0"], cwd=tmp_path, check=True)
    found = np.fromfile(tmp_path / "outputs", np.int8).reshape(3, 144)
    assert np.array_equal(found, Program(module).run(inputs)["scores"])


def test_the_header_states_the_contract() -> None:
    module = small_network()
    report = memory_report(module)
    header = emit_c(module)["kernel.h"]
    assert "kernel.h: written by mrqc 0.1.0 from model.onnx for target pow2-npu." in header
    assert "input (image): i8 [1, 6, 6, 4], scale 0.0078125, zero point 0" in header
    assert "output (scores): i8 [1, 144], scale 0.0078125, zero point 0" in header
    assert f"{report.arena_bytes} bytes of arena" in header
    assert f"{report.stack_bytes} bytes of arrays on the stack" in header
    assert f"{report.constant_bytes} bytes of constants" in header
    assert f"#define KERNEL_ARENA_BYTES {report.arena_bytes}\n" in header
    assert "#define KERNEL_INPUT_SCALE 0.0078125f\n#define KERNEL_INPUT_ZERO_POINT 0\n" in header
    assert "#define KERNEL_OUTPUT_SCALE 0.0078125f\n#define KERNEL_OUTPUT_ZERO_POINT 0\n" in header
    assert "void kernel_run(const int8_t input[144], int8_t output[144], uint8_t arena[KERNEL_ARENA_BYTES]);" in header


def test_the_source_names_the_users_layers_in_order() -> None:
    source = emit_c(small_network())["kernel.c"]
    comments = re.findall(r"^    /\* (\d+\. .*) \*/$", source, re.MULTILINE)
    assert [re.sub(r" i8.*", "", comment) for comment in comments] == [
        "0. features/conv: int.conv2d",
        "1. features/conv: int.conv2d",
        "2. int.add",
        "3. features/relu: int.clamp",
        "4. flatten: int.reshape",
    ]
    assert comments[0].endswith("i8 [1, 6, 6, 4], i8 [4, 3, 3, 4], i32 [4] -> i8 [1, 6, 6, 4]")


def test_long_comments_are_wrapped() -> None:
    network = Network()
    value = network.conv(network.x, source=" + ".join(f"block_{number}/conv" for number in range(20)))
    source = emit_c(network.finish(Output("y", value)))["kernel.c"]
    assert "block_0/conv + block_1/conv" in source
    assert "block_19/conv: int.conv2d" in re.sub(r"\n +\* ", " ", source)
    assert max(map(len, source.splitlines())) <= 120


def test_only_integers_and_no_library() -> None:
    source = re.sub(r"/\*.*?\*/", "", emit_c(small_network())["kernel.c"], flags=re.DOTALL)
    assert re.findall(r"#include (.*)", source) == ['"kernel.h"', "<stdint.h>", "<string.h>"]
    assert not re.search(r"\b(float|double|malloc|calloc|alloca)\b|\d\.\d", source)


def test_the_same_module_gives_the_same_text() -> None:
    assert emit_c(small_network()) == emit_c(small_network())
    assert emit_c(small_network(), "other") != emit_c(small_network())


def test_the_name_is_the_prefix_of_everything_exported(tmp_path: Path) -> None:
    sources = emit_c(small_network(), "Digits2")
    assert sources.keys() == {"Digits2.c", "Digits2.h"}
    assert "#define DIGITS2_ARENA_BYTES" in sources["Digits2.h"]
    assert compile_sources(sources, tmp_path, "gcc", *STRICT_FLAGS, "-c", "Digits2.c", "-o", "unit.o") == ""
    listed = subprocess.run(["nm", "-g", "unit.o"], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert re.findall(r" T (\w+)", listed) == ["Digits2_run"]
    assert set(re.findall(r" U (\w+)", listed)) <= {"memcpy", "memset"}


@pytest.mark.parametrize("name", ["", "2kernel", "my-kernel", "a b", "größe", "a\n"])
def test_a_name_that_is_no_identifier_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="C identifier"):
        emit_c(small_network(), name)


def test_an_unknown_cpu_is_refused() -> None:
    with pytest.raises(UsageError, match=r"cpu 'z80'.*generic"):
        emit_c(small_network(), cpu="z80")


def sections(folder: Path) -> dict[str, int]:
    """Return the bytes of the object's sections that hold constants or variables."""
    listed = subprocess.run(["size", "-A", "unit.o"], cwd=folder, capture_output=True, text=True, check=True).stdout
    rows = re.findall(r"^(\.rodata|\.data|\.bss)\s+(\d+)", listed, re.MULTILINE)
    return {name: int(size) for name, size in rows}


def test_the_stated_memory_is_what_the_object_holds(tmp_path: Path) -> None:
    module = small_network()
    command = ("gcc", *STRICT_FLAGS, "-O0", "-fstack-usage", "-c", "kernel.c", "-o", "unit.o")
    assert compile_sources(emit_c(module), tmp_path, *command) == ""
    found = sections(tmp_path)
    assert found.get(".data", 0) == found.get(".bss", 0) == 0
    listed = subprocess.run(["nm", "-S", "unit.o"], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    constants = sum(int(size, 16) for size in re.findall(r"^\w+ (\w+) r ", listed, re.MULTILINE))
    report = memory_report(module)
    assert report.constant_bytes == constants
    frames = {
        row.split("\t")[0].rpartition(":")[2]: int(row.split("\t")[1])
        for row in (tmp_path / "unit.su").read_text().splitlines()
    }
    conv = next(size for name, size in frames.items() if name.startswith("conv2d_i8"))
    run = next(size for name, size in frames.items() if name.startswith("accumulate_run"))
    assert report.stack_bytes == 128 + 512
    # What is beyond the arrays are saved registers and scalars.
    assert 128 <= conv < 128 + 256
    assert 512 <= run < 512 + 256


def test_the_memory_report_lists_what_is_in_the_arena() -> None:
    report = memory_report(small_network())
    assert isinstance(report, MemoryReport)
    # The sum takes over the block of the first layer; the clamp after it is the output.
    assert [(buffer.name, buffer.offset, buffer.bytes) for buffer in report.buffers] == [
        ("2", 0, 144),
        ("5", 144, 144),
        ("6", 0, 144),
    ]
    assert report.arena_bytes == 288


def test_a_table_that_two_layers_need_is_written_once() -> None:
    network = Network()
    hidden = network.conv(network.x)
    weights = next(s.op.weight for s in network.builder.finish(()).statements if isinstance(s.op, ops.Conv2D))
    again = network.builder.emit(ops.Constant(Data(constant_array(network, weights)), CODES))
    out = network.builder.emit(ops.Conv2D(hidden, again, requantize=PLAIN, element=CODES))
    module = network.finish(Output("y", out))
    assert emit_c(module)["kernel.c"].count("static const int8_t weights_") == 1
    assert memory_report(module).constant_bytes == 144 + 4 * 4 + 2 * (18 * 4 + 1 + 3 * 4)


def constant_array(network: Network, wanted: Value) -> np.ndarray:
    definition = network.builder.finish(()).definitions[wanted].op
    assert isinstance(definition, ops.Constant)
    return definition.value.array


def test_what_nothing_uses_is_not_emitted() -> None:
    network = Network()
    network.conv(network.x, 40)
    module = network.finish(Output("y", network.clamp(network.x)))
    source = emit_c(module)["kernel.c"]
    assert "conv2d" not in source
    assert memory_report(module).arena_bytes == 1


ALIASES = {
    "an output that is an input": lambda n: [("a", n.x)],
    "an output that is a reshaped input": lambda n: [("a", n.reshape(n.reshape(n.x, 144), 12, 12))],
    "an output twice": lambda n: [("a", y := n.clamp(n.x)), ("b", y), ("c", n.reshape(y, 144))],
    "an output that is used later": lambda n: [("a", y := n.clamp(n.x)), ("b", n.clamp(n.conv(y)))],
    "an output whose reshape is used later": lambda n: [("a", n.reshape(y := n.clamp(n.x), 144)), ("b", n.conv(y))],
    "an output that could be computed in place of another": lambda n: [("a", y := n.conv(n.x)), ("b", n.clamp(y))],
    "an input that could be overwritten": lambda n: [("a", n.clamp(n.clamp(n.x))), ("b", n.x)],
    "nothing but copies": lambda n: [("a", n.x), ("b", n.x)],
}


@pytest.mark.parametrize("case", ALIASES)
def test_aliases(case: str) -> None:
    network = Network()
    module = network.finish(*(Output(name, value) for name, value in ALIASES[case](network)))
    assert_bits([module], sanitize=True)


def test_a_chain_in_place_through_types() -> None:
    """Rescales to narrower elements and additions write over their operand while the rest is still to be read."""
    builder = GraphBuilder()
    x = builder.add_input("x", TensorType((7, 31), Element.per_tensor(DType.I16, 0.1)))
    wide = builder.emit(ops.Rescale(x, 5, PLAIN, Element.per_tensor(DType.I16, 0.1)))
    byte = builder.emit(ops.Rescale(wide, -3, PLAIN, CODES))
    total = builder.emit(ops.Add(byte, byte, 3, 5, PLAIN, CODES))
    unsigned = ops.Requantize((1,), (1,), Rounding.TO_ZERO, 60, 0, 255)
    last = builder.emit(ops.Rescale(total, 1, unsigned, BYTES))
    module = Module("chain", builder.finish([Output("y", builder.emit(ops.Clamp(last, 3, 200)))]))
    assert memory_report(module).arena_bytes == 7 * 31 * 2
    assert_bits([module], sanitize=True)


@settings(max_examples=10)
@given(st.lists(int_modules(awkward_names=True, max_layers=3), min_size=1, max_size=3))
def test_reports_agree_with_headers(modules: list[Module]) -> None:
    joined = side_by_side(modules)
    report = memory_report(joined)
    header = emit_c(joined)["kernel.h"]
    assert f"_ARENA_BYTES {report.arena_bytes}\n" in header
    assert f"Flash: {report.constant_bytes} bytes" in header
    for buffer in report.buffers:
        assert buffer.offset + buffer.bytes <= report.arena_bytes


@pytest.mark.parametrize(
    ("scale", "literal"),
    [
        (0.0078125, "0.0078125f"),
        (1.0, "1.0f"),
        (float(np.float32(0.1)), "0.1f"),
        (float(np.float32(3.4e-12)), "3.4e-12f"),
        (1e-300, "1e-300"),
        (1e300, "1e+300"),
    ],
)
def test_scales_are_exact_literals(scale: float, literal: str) -> None:
    network = Network(element=Element.per_tensor(DType.I8, scale))
    module = network.finish(Output("y", network.clamp(network.x)))
    assert f"#define KERNEL_INPUT_SCALE {literal}\n" in emit_c(module)["kernel.h"]


def test_several_inputs_and_outputs_have_macros_after_their_names() -> None:
    builder = GraphBuilder()
    left = builder.add_input("left", TensorType((1, 4), CODES))
    right = builder.add_input("Left", TensorType((1, 4), BYTES))
    plain = builder.add_input("plain", TensorType((2,), Element(DType.I32)))
    both = builder.emit(ops.Add(left, right, 1, 1, PLAIN, CODES))
    outputs = [Output("sum", both), Output("copy", plain), Output("input", both)]
    header = emit_c(Module("two", builder.finish(outputs)))["kernel.h"]
    assert "#define KERNEL_LEFT_SCALE 0.0078125f\n" in header
    assert "#define KERNEL_LEFT_2_SCALE 0.1f\n#define KERNEL_LEFT_2_ZERO_POINT 7\n" in header
    assert "#define KERNEL_SUM_SCALE 0.0078125f\n" in header
    assert "plain: i32 [2], plain integers" in header
    assert "PLAIN_SCALE" not in header
    assert re.search(
        r"const int8_t left\[4\],\s+const uint8_t Left\[4\],\s+const int32_t plain\[2\],\s+int8_t sum", header
    )


def test_a_scale_for_each_channel_is_told_in_the_comment() -> None:
    element = Element(DType.I8, Quantization.per_axis([0.5, 0.25], [0, 3], 1))
    builder = GraphBuilder()
    x = builder.add_input("x", TensorType((3, 2), element))
    header = emit_c(Module("axis", builder.finish([Output("y", builder.emit(ops.Clamp(x, -5, 5)))])))["kernel.h"]
    assert "input (x): i8 [3, 2], along axis 1 scales 0.5, 0.25, zero points 0, 3" in header
    assert "_SCALE" not in header
