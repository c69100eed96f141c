"""Every consumer of the ops has a rule for each of them."""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest

import mrqc
from mrqc.ir import Op, RuleTable, TensorType
from mrqc.ops import ALL_OPS, INT_OPS, NN_OPS
from mrqc.testing import OP_STRATEGIES


@dataclass(frozen=True)
class UnheardOf(Op):
    """An op that no table knows."""

    mnemonic: ClassVar[str] = "int.unheard_of"

    def infer(self) -> tuple[TensorType, ...]:
        return ()


def rule_tables() -> dict[str, RuleTable[Any]]:
    """Return every rule table of the package by where it is defined."""
    found: dict[int, tuple[str, RuleTable[Any]]] = {}
    for info in pkgutil.walk_packages(mrqc.__path__, "mrqc."):
        if info.name.endswith("__main__"):
            continue
        for name, content in vars(importlib.import_module(info.name)).items():
            if isinstance(content, RuleTable):
                found.setdefault(id(content), (f"{info.name}.{name}", content))
    return dict(found.values())


TABLES = rule_tables()


@pytest.mark.parametrize(
    "consumer", ["mrqc.backends.reference", "mrqc.backends.simulator", "mrqc.backends.c", "mrqc.testing"]
)
def test_a_consumer_of_ops_has_a_table(consumer: str) -> None:
    assert any(name.startswith(f"{consumer}.") for name in TABLES)


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES.keys())
def test_a_table_is_sealed(table: RuleTable[Any]) -> None:
    with pytest.raises(TypeError, match="sealed"):
        table.register(UnheardOf)(lambda *_: None)


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES.keys())
def test_a_new_op_without_a_rule_is_named(table: RuleTable[Any]) -> None:
    with pytest.raises(TypeError, match=r"no .* rule for int\.unheard_of"):
        table.seal([*table.ops, UnheardOf])


@pytest.mark.parametrize(
    ("package", "ops"),
    [
        ("mrqc.backends.reference", NN_OPS),
        ("mrqc.backends.simulator", INT_OPS),
        ("mrqc.backends.c", INT_OPS),
    ],
)
def test_a_backend_serves_its_dialect(package: str, ops: tuple[type[Op], ...]) -> None:
    served = [table.ops for name, table in TABLES.items() if name.startswith(f"{package}.")]
    assert frozenset(ops) in served


def test_every_op_has_a_strategy() -> None:
    assert OP_STRATEGIES.ops == set(ALL_OPS)
