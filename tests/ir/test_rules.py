"""Rule tables: holes show when they are sealed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mrqc.ir import RuleTable
from mrqc.ops.nn import Add, Clip, Softmax

Rule = Callable[[], str]


@pytest.fixture
def table() -> RuleTable[Rule]:
    table: RuleTable[Rule] = RuleTable("test")

    @table.register(Add, Clip)
    def both() -> str:
        return "both"

    assert both() == "both"
    return table


def test_a_rule_is_found_by_its_op(table: RuleTable[Rule]) -> None:
    table.seal((Add, Clip))
    assert table[Add]() == table[Clip]() == "both"
    assert table.ops == {Add, Clip}
    assert Add in table
    assert Softmax not in table


def test_sealing_names_every_missing_op(table: RuleTable[Rule]) -> None:
    empty: RuleTable[Rule] = RuleTable("empty")
    with pytest.raises(TypeError, match=r"no empty rule for nn\.add, nn\.softmax"):
        empty.seal((Softmax, Add))
    with pytest.raises(TypeError, match=r"no test rule for nn\.softmax"):
        table.seal((Add, Clip, Softmax))


def test_sealing_names_rules_that_serve_nothing(table: RuleTable[Rule]) -> None:
    with pytest.raises(TypeError, match=r"does not serve: nn\.clip"):
        table.seal((Add,))


def test_a_failed_seal_leaves_the_table_open(table: RuleTable[Rule]) -> None:
    with pytest.raises(TypeError):
        table.seal((Add, Clip, Softmax))
    table.register(Softmax)(lambda: "later")
    table.seal((Add, Clip, Softmax))
    assert table[Softmax]() == "later"


def test_a_second_rule_is_refused(table: RuleTable[Rule]) -> None:
    with pytest.raises(TypeError, match=r"nn\.add has two test rules"):
        table.register(Add)(lambda: "again")


def test_a_sealed_table_takes_no_rule(table: RuleTable[Rule]) -> None:
    table.seal((Add, Clip))
    with pytest.raises(TypeError, match="sealed"):
        table.register(Softmax)(lambda: "late")


def test_a_missing_rule_is_an_error_with_the_op(table: RuleTable[Rule]) -> None:
    with pytest.raises(LookupError, match=r"no test rule for nn\.softmax"):
        table[Softmax]
