"""The pass manager: verification, instruments, and what a broken pass leaves behind."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import pytest
from networks import residual_network

from mrqc.compiler import parse
from mrqc.errors import PassError, UsageError
from mrqc.ir import Data, Graph, Module, Statement
from mrqc.ops import nn
from mrqc.passes import Instruments, Pass, PassRecord, parse_pipeline, run_pipeline
from mrqc.passes.definition import Exactness


@dataclass(frozen=True)
class FlipWeights(Pass):
    """Promises exactness and changes every constant."""

    name: ClassVar[str] = "flip-weights"
    summary: ClassVar[str] = "break results"
    exactness: ClassVar[Exactness] = "exact"

    def __call__(self, module: Module) -> Module:
        def flip(statement: Statement) -> Statement:
            if isinstance(statement.op, nn.Constant) and statement.op.value.dtype == "u8":
                return replace(statement, op=replace(statement.op, value=Data(255 - statement.op.value.array)))
            return statement

        graph = module.graph
        return module.with_graph(replace(graph, statements=tuple(map(flip, graph.statements))))


@dataclass(frozen=True)
class LoseStatement(Pass):
    """Leaves a use without a definition."""

    name: ClassVar[str] = "lose-statement"
    summary: ClassVar[str] = "break the module"
    exactness: ClassVar[Exactness] = "exact"

    def __call__(self, module: Module) -> Module:
        graph = module.graph
        return module.with_graph(Graph(graph.inputs, graph.statements[1:], graph.outputs))


@dataclass(frozen=True)
class DivideByZero(Pass):
    """Fails in the middle."""

    name: ClassVar[str] = "divide-by-zero"
    summary: ClassVar[str] = "raise"
    exactness: ClassVar[Exactness] = "lossy"
    divisor: int = 0

    def __call__(self, module: Module) -> Module:
        assert 1 // self.divisor
        return module


def test_records_tell_time_and_size_of_each_pass() -> None:
    records: list[PassRecord] = []
    run_pipeline(
        residual_network(), parse_pipeline("canonicalize,eliminate-dead-code"), Instruments(on_pass=records.append)
    )
    assert [record.name for record in records] == ["canonicalize", "eliminate-dead-code"]
    assert all(record.seconds >= 0 for record in records)
    assert records[0].statements_before == len(residual_network().graph.statements)


@pytest.mark.parametrize(("wanted", "count"), [("all", 2), ("canonicalize", 1)])
def test_print_after_emits_text_that_parses_back(wanted: str, count: int) -> None:
    texts: list[str] = []
    instruments = Instruments(print_after=frozenset({wanted}), elide_constants=False, emit=texts.append)
    module = run_pipeline(residual_network(), parse_pipeline("canonicalize,eliminate-dead-code"), instruments)
    assert len(texts) == count
    assert parse(texts[-1]) == module


def test_print_after_an_absent_pass_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="no pass requantize"):
        run_pipeline(
            residual_network(), parse_pipeline("canonicalize"), Instruments(print_after=frozenset({"requantize"}))
        )


def test_a_module_that_a_pass_breaks_is_reported_with_its_name_and_a_reproducer(tmp_path: Path) -> None:
    module = residual_network()
    with pytest.raises(PassError, match=r"pass lose-statement: .*used before it is defined") as caught:
        run_pipeline(module, [LoseStatement()], Instruments(reproducer_directory=tmp_path))
    assert caught.value.pass_name == "lose-statement"
    (reproducer,) = tmp_path.iterdir()
    assert str(reproducer) == caught.value.reproducer
    text = reproducer.read_text()
    assert text.startswith("// mrqc opt FILE --passes 'lose-statement'\n")
    assert parse(text) == module


def test_bit_checks_catch_an_exact_pass_that_is_not(tmp_path: Path) -> None:
    instruments = Instruments(check_bits=True, reproducer_directory=tmp_path)
    with pytest.raises(PassError, match=r"an exact pass changed results: output 'y' differs in \d+ of \d+ elements"):
        run_pipeline(residual_network(), [FlipWeights()], instruments)
    assert run_pipeline(residual_network(), [FlipWeights()], replace(instruments, check_bits=False))


def test_an_exception_inside_a_pass_becomes_a_pass_error_with_options(tmp_path: Path) -> None:
    with pytest.raises(PassError, match="pass divide-by-zero: ZeroDivisionError"):
        run_pipeline(residual_network(), [DivideByZero()], Instruments(reproducer_directory=tmp_path))
    assert run_pipeline(residual_network(), [DivideByZero(1)], Instruments())


def test_an_unwritable_reproducer_folder_does_not_hide_the_fault(tmp_path: Path) -> None:
    missing = tmp_path / "absent"
    with pytest.raises(PassError, match="no reproducer") as caught:
        run_pipeline(residual_network(), [LoseStatement()], Instruments(reproducer_directory=missing))
    assert caught.value.reproducer is None


def test_canonicalize_is_idempotent_and_passes_its_bit_check() -> None:
    once = run_pipeline(residual_network(), parse_pipeline("canonicalize"), Instruments(check_bits=True))
    assert run_pipeline(once, parse_pipeline("canonicalize"), Instruments(check_bits=True)) == once
