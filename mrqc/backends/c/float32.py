"""Ops in single precision: the C has no floating point, and they are refused before any rule is asked."""

from __future__ import annotations

from mrqc.backends.c.calls import C_RULES, Facts, KernelCall
from mrqc.ir import Statement
from mrqc.ops.int import FLOAT32_OPS


@C_RULES.register(*FLOAT32_OPS)
def unreachable(statement: Statement, facts: Facts) -> KernelCall:
    """Return nothing: a module with such a statement has been refused."""
    del facts
    raise AssertionError(f"{statement.op.mnemonic} reached the C backend")
