"""Names of tensors and layers, whatever the model calls them, as identifiers and comments."""

import re
import subprocess
from pathlib import Path

import pytest
from compiled_cases import assert_bits
from hypothesis import given
from hypothesis import strategies as st

from mrqc.backends.c import emit_c
from mrqc.backends.c.harness import STRICT_FLAGS
from mrqc.backends.c.names import RESERVED, c_identifier, comment_text, unique_identifiers
from mrqc.ir import DType, Element, GraphBuilder, Location, Module, Output, TensorType
from mrqc.numerics import Rounding
from mrqc.ops import int as ops
from mrqc.testing.merging import side_by_side

CODES = Element.per_tensor(DType.I8, 0.5)

AWKWARD = [
    ("int", "class"), ("a/b:0", "a_b_0"), ("arena", "Arena"), ("*/ int x; /*", "??/"), ("", "_"), ("0", "1"),
    ("kernel_run", "clamp_i8_i8"), ("INT8_MAX", "NULL"), ("_x", "__x__"), ("Größe", "日本"), ("a", "A"),
    ("memcpy", "uint8_t"), ("x\ny", "\\"), ("linux", "errno"), ("tensor_0", "shape"), ("t" * 300, "t" * 301),
]  # fmt: skip


def awkward_module(names: tuple[str, str]) -> Module:
    """Return a module with two inputs and two outputs of these names, which are the layers' names too."""
    builder = GraphBuilder()
    operands = [builder.add_input(name, TensorType((3, 5), CODES)) for name in names]
    scales = ops.Requantize((1,), (4,), Rounding.HALF_UP, 0, -128, 127)
    value = builder.emit(ops.Add(*operands, 1, 1, scales, CODES), Location.of(*names))
    outputs = [builder.emit(ops.Clamp(value, -8, high), Location.of(names[0])) for high in (5, 9)]
    named = [Output(name, output) for name, output in zip(names, outputs, strict=True)]
    return Module("awkward", builder.finish(named)).with_facts(source=names[0], target=names[1])


@pytest.mark.parametrize("names", AWKWARD, ids=ascii)
def test_any_name_makes_a_kernel(names: tuple[str, str], tmp_path: Path) -> None:
    sources = emit_c(awkward_module(names))
    # The header must survive whatever else a program includes.
    first = "#include <errno.h>\n#include <limits.h>\n#include <stdint.h>\n#include <stdio.h>\n#include <string.h>\n"
    sources["main.c"] = f'{first}#include "kernel.h"\nint main(void)\n{{\n    return 0;\n}}\n'
    for file, text in sources.items():
        (tmp_path / file).write_text(text, encoding="ascii")
    for command in (("gcc", *STRICT_FLAGS), ("clang", *STRICT_FLAGS), ("g++", "-x", "c++", "-Wall", "-Werror")):
        call = [*command, "-fsyntax-only", "kernel.c", "main.c"]
        found = subprocess.run(call, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert (found.returncode, found.stderr) == (0, "")


def test_all_awkward_names_together() -> None:
    """Every input and output of one function needs a name of its own, and macros of its own."""
    modules = [awkward_module(names) for names in AWKWARD]
    joined = side_by_side(modules)
    header = emit_c(joined)["kernel.h"]
    macros = re.findall(r"#define (\w+)", header)
    assert len(macros) == len(set(macros)) == 2 + 8 * len(AWKWARD)
    assert_bits(modules, batches=1, oracle=False)


@given(st.lists(st.tuples(st.text(max_size=8), st.sampled_from(("input", "output"))), max_size=12))
def test_names_are_different_identifiers(wanted: list[tuple[str, str]]) -> None:
    names = unique_identifiers(wanted, {"input", "weights_0"})
    assert len(set(names)) == len(wanted)
    assert not RESERVED.union({"input", "weights_0"}).intersection(names)
    for name in names:
        assert re.fullmatch(r"[A-Za-z][A-Za-z0-9]*(_[A-Za-z0-9]+)*", name)
        assert not name.isupper()


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [("input", "input"), ("a/b:0", "a_b_0"), ("X", "x"), ("__a__b__", "a_b"), ("7", "input_7"), ("ß", "input")],
)
def test_identifiers_resemble_the_models_names(wanted: str, expected: str) -> None:
    assert c_identifier(wanted, "input") == expected


@given(st.text(alphabet=st.one_of(st.characters(), st.sampled_from("*/?\\\n")), max_size=30))
def test_no_text_ends_a_comment(text: str) -> None:
    comment = f"/* {comment_text(text)} */"
    assert comment.isascii()
    assert comment.isprintable()
    assert comment.index("*/") == len(comment) - 2
    assert "/*" not in comment[2:]
    assert "??" not in comment
    assert "\\" not in comment
