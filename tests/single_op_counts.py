"""The tests of single operators count the cases that agree with a runtime; the end of the run lists them.

The counts travel as properties of the tests' reports, which pytest-xdist sends from its workers to the process that
prints.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass
from itertools import chain, groupby

import pytest

_PROPERTY = "single_op"
_WIDTH = 58


@dataclass(frozen=True, order=True)
class SingleOpCount:
    """The cases of one operator that agree, byte for byte.

    Attributes:
        form: Of the files.
        oracle: The runtime that the results are compared with.
        operator: As the files call it.
        elements: Type of the elements.
        simulated: Cases that agree in the simulator.
        compiled: How many of them agree as C too.
    """

    form: str
    oracle: str
    operator: str
    elements: str
    simulated: int
    compiled: int = 0

    def record(self, record_property: Callable[[str, object], None]) -> None:
        """Attach the count to the report of the running test, as plain data that can be sent on."""
        record_property(_PROPERTY, astuple(self))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    passed = terminalreporter.stats.get("passed", ())
    properties = (item for report in passed for item in report.user_properties)
    counts = sorted(SingleOpCount(*content) for name, content in properties if name == _PROPERTY)
    if counts:
        terminalreporter.section("cases of one operator that agree with the runtime, byte for byte")
        for line in _table(counts):
            terminalreporter.write_line(line)


def _table(counts: list[SingleOpCount]) -> Iterator[str]:
    for (form, oracle), members in groupby(counts, lambda count: (count.form, count.oracle)):
        yield f"{f'{form}, compared with {oracle}':<{_WIDTH}} {'cases':>6} {'as C':>6}  elements"
        rows = [list(parts) for _, parts in groupby(members, lambda count: count.operator)]
        for parts in rows:
            yield _row(f"  {parts[0].operator}", parts) + f"  {' '.join(count.elements for count in parts)}"
        yield _row(f"  {len(rows)} operators", list(chain(*rows)))
    yield _row("all", counts)


def _row(title: str, counts: list[SingleOpCount]) -> str:
    simulated, compiled = sum(count.simulated for count in counts), sum(count.compiled for count in counts)
    return f"{title:<{_WIDTH}} {simulated:>6} {compiled:>6}"
