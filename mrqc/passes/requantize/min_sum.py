"""Minimum of a sum of tables over a few dozen discrete variables.

Variables of at most two neighbours are eliminated by min-plus products, which is exact for paths, rings and every
series-parallel graph. Where the rest is denser, a variable is fixed by a bound, and the result is improved one
variable at a time until nothing changes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Table = NDArray[np.float64]
Decision = Callable[[dict[int, int]], int]


@dataclass
class MinSumProblem:
    """A sum of unary and pairwise cost tables over variables ``0 … n-1``, each with ``states`` values.

    Attributes:
        unary: ``[states]`` for each variable.
        pairwise: ``[states, states]`` for pairs ``(i, j)`` with ``i < j``, indexed ``[x_i, x_j]``.
    """

    unary: list[Table]
    pairwise: dict[tuple[int, int], Table] = field(default_factory=dict[tuple[int, int], Table])

    def add(self, first: int, second: int, table: Table) -> None:
        """Add a table ``[x_first, x_second]``; a pair of the same variable counts its diagonal."""
        if first == second:
            self.unary[first] = self.unary[first] + np.diagonal(table)
            return
        key = (min(first, second), max(first, second))
        oriented = table if first < second else table.T
        self.pairwise[key] = self.pairwise[key] + oriented if key in self.pairwise else oriented

    def between(self, first: int, second: int) -> Table:
        """Return the table of a pair, indexed ``[x_first, x_second]``."""
        return self.pairwise[first, second] if first < second else self.pairwise[second, first].T

    def neighbours(self, variable: int) -> list[int]:
        """Return the variables that share a table with ``variable``, in order."""
        return sorted({i + j - variable for i, j in self.pairwise if variable in (i, j)})

    def cost(self, assignment: list[int]) -> float:
        """Return the sum at an assignment."""
        unary = sum(float(table[state]) for table, state in zip(self.unary, assignment, strict=True))
        return unary + sum(float(table[assignment[i], assignment[j]]) for (i, j), table in self.pairwise.items())


def minimize(problem: MinSumProblem) -> list[int]:
    """Return the assignment of least cost, or a locally best one where elimination is not exact."""
    work = MinSumProblem(list(problem.unary), dict(problem.pairwise))
    decisions: list[tuple[int, Decision]] = []
    remaining = set(range(len(problem.unary)))
    exact = True
    while remaining:
        variable = min(remaining, key=lambda v: (len(work.neighbours(v)), v))
        if len(work.neighbours(variable)) > 2:
            variable = max(remaining, key=lambda v: (len(work.neighbours(v)), -v))
            exact = False
        decisions.append((variable, _eliminate(work, variable)))
        remaining.discard(variable)
    assignment: dict[int, int] = {}
    for variable, decide in reversed(decisions):
        assignment[variable] = decide(assignment)
    result = [assignment[variable] for variable in range(len(problem.unary))]
    return result if exact else _improve(problem, result)


def _eliminate(work: MinSumProblem, variable: int) -> Decision:
    """Take a variable out of the problem, and return how to choose its state once its neighbours are known."""
    neighbours = work.neighbours(variable)
    tables = [work.between(variable, other) for other in neighbours]
    unary = work.unary[variable]
    for other in neighbours:
        del work.pairwise[min(variable, other), max(variable, other)]
    if len(neighbours) > 2:
        bound = unary + sum(table.min(axis=1) for table in tables)
        state = int(np.argmin(bound))
        for other, table in zip(neighbours, tables, strict=True):
            work.unary[other] = work.unary[other] + table[state]
        return lambda _: state
    if len(neighbours) == 2:
        total = (unary[:, None] + tables[0])[:, :, None] + tables[1][:, None, :]
        work.add(neighbours[0], neighbours[1], total.min(axis=0))
    elif neighbours:
        work.unary[neighbours[0]] = work.unary[neighbours[0]] + (unary[:, None] + tables[0]).min(axis=0)

    def decide(assignment: dict[int, int]) -> int:
        cost = unary
        for other, table in zip(neighbours, tables, strict=True):
            cost = cost + table[:, assignment[other]]
        return int(np.argmin(cost))

    return decide


def _improve(problem: MinSumProblem, assignment: list[int]) -> list[int]:
    """Return the assignment after choosing each variable anew, given all others, until none changes."""
    result, changed = list(assignment), True
    while changed:
        changed = False
        for variable, unary in enumerate(problem.unary):
            cost = unary
            for other in problem.neighbours(variable):
                cost = cost + problem.between(variable, other)[:, result[other]]
            best = int(np.argmin(cost))
            if cost[best] < cost[result[variable]] - 1e-12:
                result[variable], changed = best, True
    return result
