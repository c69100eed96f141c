"""The layering of docs/architecture.md, read off the imports."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "mrqc"
SOURCES = sorted(PACKAGE.rglob("*.py"))

LAYERS = (
    {"errors", "lazy", "version"},
    {"files", "numerics"},
    {"ir"},
    {"ops"},
    {"targets", "frontends", "analysis"},
    {"backends"},
    {"calibration"},
    {"passes"},
    {"compiler"},
    {"report", "testing"},
    {"cli"},
    {"__main__"},
)
"""A module imports from its own package and from the layers before it, never from beside it."""

LEVELS = {name: level for level, names in enumerate(LAYERS) for name in names}
SEPARATE_BACKENDS = {"reference", "simulator", "c", "onnx", "tflite"}
CATCH_ALLS = {"Exception", "BaseException"}
NUMERICS_MAY_IMPORT = sys.stdlib_module_names | {"numpy", "mrqc"}
SLOW_TO_IMPORT = ("numpy", "onnx", "tflite", "flatbuffers", "networkx", "lark", "pydantic", "PIL")
LAZY_NAME = re.compile(r"mrqc(\.\w+)+")


def dotted_name(path: Path) -> str:
    """Return the import name of a source file, packages without ``__init__``."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_modules(tree: ast.AST) -> Iterator[str]:
    """Yield the full name of everything that is imported, names handed to ``lazy_exports`` included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: imports are absolute"
            assert node.module is not None
            # ``from mrqc import ir`` imports a package, ``from mrqc.ir import Op`` a name of one.
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "lazy_exports":
            strings = (leaf.value for leaf in ast.walk(node) if isinstance(leaf, ast.Constant))
            yield from (text for text in strings if isinstance(text, str) and LAZY_NAME.fullmatch(text))


def layer_of(name: str) -> str:
    """Return the layer's name in a dotted name: ``ir`` of ``mrqc.ir.graph``."""
    return name.split(".")[1]


def layering_violations(importer: str, tree: ast.AST) -> Iterator[str]:
    """Yield a sentence for each import of ``importer`` that the layering forbids."""
    own = layer_of(importer)
    for imported in imported_modules(tree):
        if imported.partition(".")[0] != "mrqc":
            if own == "numerics" and imported.partition(".")[0] not in NUMERICS_MAY_IMPORT:
                yield f"{importer} imports {imported}: numerics knows numpy only"
            continue
        if "." not in imported or layer_of(imported) not in LEVELS:
            yield f"{importer} imports {imported}: not one of the layers"
            continue
        if layer_of(imported) != own and LEVELS[layer_of(imported)] >= LEVELS[own]:
            yield f"{importer} imports {imported}: not a lower layer"
        yield from backend_violations(importer, imported)


def backend_violations(importer: str, imported: str) -> Iterator[str]:
    """Yield a sentence where one backend, or what they share, knows of another."""
    from_, to = importer.split("."), imported.split(".")
    if from_[1:2] != ["backends"] or to[1:2] != ["backends"] or len(to) < 3 or len(from_) < 3:
        return
    if to[2] in SEPARATE_BACKENDS and from_[2] != to[2]:
        yield f"{importer} imports {imported}: backends are independent of each other"


def style_violations(importer: str, tree: ast.AST) -> Iterator[str]:
    """Yield a sentence for each import below the top and each handler that catches everything."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            for inner in ast.walk(node):
                if isinstance(inner, ast.Import | ast.ImportFrom):
                    yield f"{importer}:{inner.lineno} imports inside a function"
        elif isinstance(node, ast.ExceptHandler):
            names = {leaf.id for leaf in ast.walk(node.type) if isinstance(leaf, ast.Name)} if node.type else None
            if names is None or names & CATCH_ALLS:
                yield f"{importer}:{node.lineno} catches everything"
        elif isinstance(node, ast.Call) and importer != "mrqc.lazy":
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in ("import_module", "__import__"):
                yield f"{importer}:{node.lineno} imports by name"


def test_the_package_was_found() -> None:
    assert len(SOURCES) > 50
    assert {layer_of(dotted_name(path)) for path in SOURCES if path.parent != PACKAGE} <= LEVELS.keys()


@pytest.mark.parametrize("path", SOURCES, ids=dotted_name)
def test_imports_go_down(path: Path) -> None:
    name = dotted_name(path)
    tree = ast.parse(path.read_text(encoding="utf-8"))
    # The package itself re-exports from every layer, lazily.
    violations = [] if name == "mrqc" else list(layering_violations(name, tree))
    violations += style_violations(name, tree)
    assert not violations, "\n".join(violations)


@pytest.mark.parametrize(
    ("importer", "source"),
    [
        ("mrqc.ir.op", "from mrqc.ops import nn"),
        ("mrqc.numerics.windows", "import mrqc.ir"),
        ("mrqc.numerics.windows", "import onnx"),
        ("mrqc.ops.nn", "from mrqc import backends"),
        ("mrqc.targets.loader", "from mrqc.analysis import ranges"),
        ("mrqc.passes.manager", "from mrqc.testing import nn_modules"),
        ("mrqc.passes.manager", "import mrqc"),
        ("mrqc.backends.simulator.program", "from mrqc.backends.c.harness import CompiledKernel"),
        ("mrqc.backends.interpreter", "from mrqc.backends.reference import ReferenceProgram"),
        ("mrqc.ir", "lazy_exports(__name__, {'lower': 'mrqc.compiler'})"),
        ("mrqc.ir", "from mrqc.unheard_of import name"),
    ],
)
def test_a_forbidden_import_is_found(importer: str, source: str) -> None:
    assert list(layering_violations(importer, ast.parse(source)))


@pytest.mark.parametrize(
    ("importer", "source"),
    [
        ("mrqc.ir.op", "from mrqc.ir.types import TensorType"),
        ("mrqc.numerics.windows", "import math\nimport numpy as np"),
        ("mrqc.backends.c.harness", "from mrqc.backends.c.emit import emit_c"),
        ("mrqc.backends.simulator.program", "from mrqc.backends.interpreter import Interpreter"),
        ("mrqc.cli.lower", "from mrqc import compiler"),
    ],
)
def test_an_allowed_import_passes(importer: str, source: str) -> None:
    assert not list(layering_violations(importer, ast.parse(source)))


@pytest.mark.parametrize(
    "source",
    [
        "def f():\n    import math",
        "async def f():\n    from math import pi",
        "try:\n    pass\nexcept Exception:\n    pass",
        "try:\n    pass\nexcept (ValueError, BaseException):\n    pass",
        "try:\n    pass\nexcept:\n    pass",
        "import importlib\nimportlib.import_module('onnx')",
    ],
)
def test_a_forbidden_construct_is_found(source: str) -> None:
    assert list(style_violations("mrqc.ir.op", ast.parse(source)))


def test_start_up_imports_nothing_slow() -> None:
    code = f"import sys, mrqc.cli; print([name for name in {SLOW_TO_IMPORT!r} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    assert found.stdout.strip() == "[]"
