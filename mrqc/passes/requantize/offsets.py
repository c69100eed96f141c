"""Offsets of groups where additions and means decide them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from mrqc.ir.graph import Module, Statement
from mrqc.ir.op import Value
from mrqc.passes.requantize.demand import Demand
from mrqc.passes.requantize.form import Real
from mrqc.passes.requantize.storage import Zero
from mrqc.passes.requantize.zero_points import addition_of, balance, mean_links

_Offset = TypeVar("_Offset", float, Real)


@dataclass(frozen=True)
class Offsets:
    """How the offsets of a module's groups depend on each other.

    The offset of a sum is that of its operands together, a mean has its operand's, and one operand of each addition
    makes up the difference. Everything else has its codes where it likes.

    Attributes:
        module: In the form of re-quantization.
        group_of: The exact group of each activation.
        balancing: For each addition, by the name of its result, the operand that makes up the difference.
    """

    module: Module
    group_of: Mapping[Value, int]
    balancing: Mapping[str, Value]

    def of_ranges(self, demands: Sequence[Demand]) -> list[Demand]:
        """Return the demands with offsets that do not depend on scales: whole ranges lie in the middle of the codes."""
        offsets = [
            demand.storage.middle(demand.range) if demand.storage.zero is Zero.CENTRED else 0.0 for demand in demands
        ]
        return self._fixed(demands, offsets, self.met() | self.dependent())

    def of_scales(self, demands: Sequence[Demand], scales: Sequence[float]) -> list[Demand]:
        """Return the demands with the offsets of dependent groups as the others have them at ``scales``."""
        offsets = [
            scale * demand.storage.zero_point(demand.range, scale)
            for demand, scale in zip(demands, scales, strict=True)
        ]
        return self._fixed(demands, offsets, self.dependent())

    def met(self) -> set[int]:
        """Return the groups that additions meet, and those that means are taken of."""
        values = [value for s in self._additions() for value in (*s.op.operands, s.result)]
        values += [operand for operand, _ in mean_links(self.module, self.group_of)]
        return {self.group_of[value] for value in values}

    def pairs(self) -> list[tuple[int, int]]:
        """Return the groups of the result and of the other operand of each addition."""
        found: list[tuple[int, int]] = []
        for statement in self._additions():
            free = self.balancing[statement.result.name]
            found += [
                (self.group_of[statement.result], self.group_of[value])
                for value in statement.op.operands
                if value != free
            ]
        return found

    def dependent(self) -> set[int]:
        """Return the groups that have the offset that others leave them."""
        results = [result for _, result in mean_links(self.module, self.group_of)]
        return {self.group_of[value] for value in (*results, *self.balancing.values())}

    def _additions(self) -> list[Statement]:
        return [s for s in self.module.graph.statements if s.result.name in self.balancing]

    def followed(self, offsets: Sequence[_Offset]) -> list[_Offset]:
        """Return the offsets of all groups, those of dependent ones as they follow from the others."""
        found = list(offsets)
        for operand, result in mean_links(self.module, self.group_of):
            found[self.group_of[result]] = found[self.group_of[operand]]
        for statement in self._additions():
            op, free = addition_of(statement), self.balancing[statement.result.name]
            other = op.rhs if free == op.lhs else op.lhs
            total, given = (found[self.group_of[value]] for value in (statement.result, other))
            found[self.group_of[free]] = balance(op, free, total, given)
        return found

    def _fixed(self, demands: Sequence[Demand], offsets: list[float], groups: set[int]) -> list[Demand]:
        """Return the demands with fixed offsets in some groups."""
        return [
            replace(demand, storage=replace(demand.storage, offset=offset, code=None))
            if index in groups and demand.storage.zero is Zero.CENTRED
            else demand
            for index, (demand, offset) in enumerate(zip(demands, self.followed(offsets), strict=True))
        ]
