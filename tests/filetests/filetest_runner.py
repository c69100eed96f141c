"""What a case does, checked against its directives or written into them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from filetest_format import Case, Directive, Run, array_of, format_assignment, format_text, read_cases, with_lines
from numpy.typing import NDArray

from mrqc.errors import InputError, MrqcError
from mrqc.ir import Module, verify
from mrqc.ir.text import parse_module, print_module
from mrqc.ops import INT_OPS, OPS_BY_MNEMONIC
from mrqc.passes import parse_pipeline
from mrqc.targets import load_target
from mrqc.testing import assert_round_trips, run_module

Arrays = Mapping[str, NDArray[Any]]


def load(case: Case) -> Module:
    """Return the module of a case, after its passes.

    Raises:
        MrqcError: The text or a pass is at fault.
    """
    module = parse_module(case.source, OPS_BY_MNEMONIC, case.path.name)
    pipeline, target = case.one("pass"), case.one("target")
    if pipeline is None:
        return module
    for pass_ in parse_pipeline(pipeline.text, load_target(target.text) if target else None):
        module = pass_(module)
    return module


def inputs_of(module: Module, run: Run) -> dict[str, NDArray[Any]]:
    """Return the arrays that a run feeds."""
    types = {value.name: value.type for value in module.graph.inputs}
    assignments = dict(directive.assignment for directive in run.inputs)
    assert assignments.keys() == types.keys(), f"inputs are {list(types)}, fed are {list(assignments)}"
    return {
        name: array_of(numbers, types[name].shape, types[name].dtype.numpy) for name, numbers in assignments.items()
    }


def findings(case: Case) -> list[str]:
    """Return what the parser or a pass says about a bad module, as the directive spells it."""
    try:
        load(case)
    except MrqcError as error:
        diagnostics = error.diagnostics
        return [
            str(diagnostic).removeprefix(f"{case.path.name}:").replace(": ", " ", 1)
            if isinstance(error, InputError) and diagnostic.location.startswith(f"{case.path.name}:")
            else str(diagnostic)
            for diagnostic in diagnostics
        ] or [str(error).splitlines()[0]]
    return []


def text_of(module: Module) -> str:
    """Return the text that expect-text holds."""
    return print_module(module, elide_constants=True, locations=False)


def is_integer(module: Module) -> bool:
    """Whether a module is for the simulator and the C backend."""
    return all(type(statement.op) in INT_OPS for statement in module.graph.statements)


def assert_case(case: Case, compiled: Sequence[Arrays] | None) -> None:
    """Assert everything that the directives say.

    Args:
        case: The case.
        compiled: What the compiled C gave for each run; None for modules that have no C.
    """
    errors = case.all("error")
    if errors:
        assert [directive.text for directive in errors] == findings(case)
        return
    module = load(case)
    assert verify(module) == []
    assert_round_trips(module)
    text = case.one("expect-text")
    if text is not None:
        assert text_of(module) == text.text
    for index, run in enumerate(case.runs):
        assert run.expected, f"line {run.inputs[0].first + 1}: nothing is expected of this run"
        _assert_run(run, run_module(module, inputs_of(module, run)), "interpreter")
        if compiled is not None:
            _assert_run(run, compiled[index], "compiled C")


def _assert_run(run: Run, outputs: Arrays, engine: str) -> None:
    for directive in run.expected:
        name, numbers = directive.assignment
        assert name in outputs, f"line {directive.first + 1}: outputs are {list(outputs)}"
        found = outputs[name]
        assert _holds(numbers, found), (
            f"line {directive.first + 1}, {engine}: {numbers} became {found.ravel().tolist()}"
        )


def _holds(numbers: Any, found: NDArray[Any]) -> bool:
    return bool(np.array_equal(np.array(numbers, found.dtype).ravel(), found.ravel()))


def updated(path: Path) -> str:
    """Return the content of a file with all expectations rewritten."""
    content = path.read_text(encoding="utf-8")
    for index in range(len(read_cases(path, content))):
        # Each case is read again from the new content, since the ones before it may have moved it; and twice, since
        # another number of findings moves the module that they point into.
        for _ in range(2):
            case = read_cases(path, content)[index]
            content = with_lines(case, _edits(case))
    return content


def _edits(case: Case) -> list[tuple[Directive, Sequence[str]]]:
    errors = case.all("error")
    if errors:
        lines = [f"// error: {finding}" for finding in findings(case)]
        return [(errors[0], lines), *((directive, ()) for directive in errors[1:])]
    module = load(case)
    edits: list[tuple[Directive, Sequence[str]]] = []
    text = case.one("expect-text")
    if text is not None:
        edits.append((text, format_text(text_of(module))))
    for run in case.runs:
        outputs = run_module(module, inputs_of(module, run))
        for directive in run.expected:
            name, numbers = directive.assignment
            if not _holds(numbers, outputs[name]):
                edits.append((directive, format_assignment("expect", name, outputs[name])))
    return edits
