"""The solver of joint scale assignment, against brute force."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mrqc.passes.requantize.min_sum import MinSumProblem, minimize


def random_problem(edges: list[tuple[int, int]], variables: int, states: int, seed: int) -> MinSumProblem:
    generator = np.random.default_rng(seed)
    problem = MinSumProblem([generator.integers(0, 50, states).astype(float) for _ in range(variables)])
    for first, second in edges:
        problem.add(first, second, generator.integers(0, 50, (states, states)).astype(float))
    return problem


def brute_force(problem: MinSumProblem) -> float:
    states = len(problem.unary[0])
    return min(problem.cost(list(a)) for a in itertools.product(range(states), repeat=len(problem.unary)))


SERIES_PARALLEL = {
    "path": [(0, 1), (1, 2), (2, 3), (3, 4)],
    "ring": [(0, 1), (1, 2), (2, 3), (3, 4), (4, 0)],
    "parallel edges": [(0, 1), (0, 1), (1, 0), (1, 2), (3, 2), (3, 4)],
    "self loop": [(0, 0), (0, 1), (1, 1)],
    "ladder": [(0, 1), (1, 2), (0, 3), (3, 2), (0, 2), (2, 4)],
    "no edges": [],
}


@pytest.mark.parametrize("edges", SERIES_PARALLEL.values(), ids=SERIES_PARALLEL)
@given(seed=st.integers(0, 2**20))
@settings(max_examples=20)
def test_series_parallel_graphs_are_solved_exactly(edges: list[tuple[int, int]], seed: int) -> None:
    problem = random_problem(edges, 5, 4, seed)
    assert problem.cost(minimize(problem)) == brute_force(problem)


@given(seed=st.integers(0, 2**20))
def test_dense_graphs_end_in_a_local_minimum(seed: int) -> None:
    problem = random_problem(list(itertools.combinations(range(5), 2)), 5, 4, seed)
    solution = minimize(problem)
    cost = problem.cost(solution)
    for variable in range(5):
        for state in range(4):
            other = [*solution]
            other[variable] = state
            assert problem.cost(other) >= cost - 1e-9
