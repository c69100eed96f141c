"""At the end of a run with single-operator tests: each operator with the number of cases that agree with LiteRT."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if terminalreporter.verbosity < 0:
        return
    rows: dict[str, list[tuple[str, int, int]]] = defaultdict(list)
    for report in terminalreporter.stats.get("passed", ()):
        for name, content in report.user_properties:
            if name == "single_op":
                builtin, dtype, simulated, compiled = content
                rows[builtin].append((dtype, simulated, compiled))
    if rows:
        terminalreporter.section("cases of one operator that agree with LiteRT, byte for byte")
        for line in _table(sorted(rows.items())):
            terminalreporter.write_line(line)


def _table(rows: list[tuple[str, list[tuple[str, int, int]]]]) -> Iterable[str]:
    yield f"{'operator':<26} {'cases':>6} {'as C':>6}  elements"
    for builtin, parts in rows:
        simulated, compiled = (sum(part[index] for part in parts) for index in (1, 2))
        yield f"{builtin:<26} {simulated:>6} {compiled:>6}  {' '.join(dtype for dtype, _, _ in parts)}"
    simulated, compiled = (sum(part[index] for _, parts in rows for part in parts) for index in (1, 2))
    yield f"{len(rows)} operators, {simulated} cases, {compiled} of them as C"
