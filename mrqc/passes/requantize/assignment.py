"""Choosing all scales of a module: independently for free multipliers, jointly where multipliers are powers of two.

All multipliers are powers of two exactly when, for every contraction, the fractional part of log2 of the weight scale
is that of the output's scale less that of the input's. Each octave is cut into bins; what a weight tensor loses at
each ratio to its own grid and what an activation loses at each scale are tabulated, and the tables are solved together
(docs/requantization.md equations 6 to 8; Nagel et al. 2021 and MRQ, arXiv 2308.01867, fold each layer on its own).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from mrqc.analysis.scale_groups import ScaleGroups
from mrqc.ir.op import Value
from mrqc.passes.requantize.min_sum import MinSumProblem, minimize
from mrqc.passes.requantize.plan import Demand
from mrqc.passes.requantize.weight_scales import shift_scales
from mrqc.passes.requantize.weights import WeightGrid
from mrqc.targets import Target

BINS = 96
"""Bins per octave: a bin is 0.72 % wide, and rounding a code below 128 hides half of that."""

_RAISING_ROUNDS = 8
"""Enough for a raise to run through a few loops of the graph; what is left is refused by ``lower-to-int``."""

_EXPONENTS = np.arange(-3, 3)
"""Octaves around the min-max scale that are tried for an activation."""

_LEAVING = 10.0
"""Price of a scale other than the preferred one, above everything that weights could gain by it."""


@dataclass(frozen=True, slots=True)
class Contraction:
    """A convolution or fully connected layer, as the choice of scales sees it."""

    input: Value
    output: Value
    weights: WeightGrid
    per_channel: bool


class JointAssignment:
    """The choice of all scales together, for activations whose demands may change."""

    def __init__(self, groups: ScaleGroups, contractions: Sequence[Contraction], target: Target) -> None:
        """Tabulate what weights lose.

        Args:
            groups: Which activations are tied.
            contractions: The layers between them.
            target: Its weights' codes, and its shifts.
        """
        self._groups = groups
        self._contractions = contractions
        self._target = target
        self._edges = [_Edge.of(contraction, groups) for contraction in contractions]
        self._tables = [edge.costs(target) for edge in self._edges]
        self._known: dict[tuple[int, float], NDArray[np.float64]] = {}

    def scales(self, demands: Sequence[Demand]) -> list[float]:
        """Return the scale of each exact group such that every multiplier can be a power of two at the least cost."""
        groups = self._groups
        problem = MinSumProblem([np.zeros(BINS) for _ in range(groups.fraction_groups)])
        positions = np.arange(BINS) / BINS
        for index, demand in enumerate(demands):
            scales = 2.0 ** (positions + groups.offset[index])
            problem.unary[groups.fraction_group[index]] += _best_octave(demand, scales)[0]
        difference = (np.arange(BINS)[None, :] - np.arange(BINS)[:, None]) % BINS
        for edge, costs in zip(self._edges, self._tables, strict=True):
            problem.add(edge.source, edge.sink, costs[difference])
        solution = np.asarray(minimize(problem), np.float64) / BINS
        fractions = _settle(solution, self._edges, _pins(groups, demands, solution))
        chosen: list[float] = []
        for index, demand in enumerate(demands):
            candidate = np.exp2([fractions[groups.fraction_group[index]] + groups.offset[index]])
            scale = float(_best_octave(demand, candidate)[1][0])
            if demand.preferred is not None and math.isclose(scale, demand.preferred, rel_tol=1e-9):
                # Logarithms have cost it the last bits.
                scale = demand.preferred
            chosen.append(scale)
        return chosen

    def cost(self, scales: Sequence[float], demands: Sequence[Demand]) -> float:
        """Return what activations and weights lose at given scales, added up as for their choice."""
        total = sum(float(_costs(demand, np.array([scale]))[0]) for demand, scale in zip(demands, scales, strict=True))
        for index, contraction in enumerate(self._contractions):
            chosen = self._weight_scales(index, scales)
            candidates = chosen[:, None] if contraction.per_channel else chosen
            total += float(contraction.weights.relative_errors(candidates, self._target.weight).mean())
        return total

    def with_shifts(self, scales: Sequence[float]) -> list[float]:
        """Return the scales, raised by octaves where codes are finer than the accumulators that they come from.

        Such a result would need a left shift; its low bits carry nothing, so a coarser scale loses nothing.
        """
        raised, least = list(scales), self._target.requantize.shift[0]
        for _ in range(_RAISING_ROUNDS):
            changed = False
            for index, (source, sink) in enumerate(self._ends):
                greatest = float(self._weight_scales(index, raised).max())
                missing = least + round(math.log2(raised[source] * greatest / raised[sink]))
                if missing > 0:
                    raised[sink] *= 2.0**missing
                    changed = True
            if not changed:
                break
        return raised

    @property
    def _ends(self) -> list[tuple[int, int]]:
        group_of = self._groups.group_of
        return [(group_of[contraction.input], group_of[contraction.output]) for contraction in self._contractions]

    def _weight_scales(self, index: int, scales: Sequence[float]) -> NDArray[np.float64]:
        """Return the best scales of a layer's weights between given scales of its input and its result."""
        source, sink = self._ends[index]
        ratio = scales[sink] / scales[source]
        # Octaves of the ratio change nothing.
        key = (index, math.frexp(ratio)[0])
        if key not in self._known:
            contraction = self._contractions[index]
            self._known[key] = shift_scales(contraction.weights, ratio, self._target.weight, contraction.per_channel)
        return self._known[key]


@dataclass(frozen=True, slots=True)
class _Edge:
    """A contraction between fraction groups; ``shift`` octaves are missing from f_sink - f_source to log2(r)."""

    source: int
    sink: int
    shift: float
    contraction: Contraction

    @classmethod
    def of(cls, contraction: Contraction, groups: ScaleGroups) -> _Edge:
        source, sink = groups.group_of[contraction.input], groups.group_of[contraction.output]
        shift = groups.offset[sink] - groups.offset[source] - math.log2(contraction.weights.base_scale)
        return cls(groups.fraction_group[source], groups.fraction_group[sink], shift, contraction)

    def costs(self, target: Target) -> NDArray[np.float64]:
        """Return the cost at each difference of bins, of the cheapest octave; near the own grid, at it."""
        weights, scheme, per_channel = self.contraction.weights, target.weight, self.contraction.per_channel
        positions = (np.arange(BINS) / BINS + self.shift) % 1.0
        positions = np.where(np.minimum(positions, 1.0 - positions) <= 0.5 / BINS, 0.0, positions)
        octaves = weights.useful_octaves(scheme, per_channel)
        candidates = weights.base_scale * np.exp2(positions[None, :] + octaves[:, None])
        errors = weights.relative_errors(candidates.ravel(), scheme).reshape(-1, len(octaves), BINS)
        return errors.min(axis=1).mean(axis=0) if per_channel else errors.mean(axis=0).min(axis=0)

    def residue(self, fractions: NDArray[np.float64]) -> float:
        """Return how far, in octaves between -0.5 and 0.5, the layer is from its own grid."""
        return (fractions[self.sink] - fractions[self.source] + self.shift + 0.5) % 1.0 - 0.5


def _best_octave(demand: Demand, scales: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return, for scales that count only modulo octaves, the least cost and the scale that has it."""
    nearest = np.rint(np.log2(demand.least_scale / scales))
    candidates = scales * 2.0 ** (nearest + _EXPONENTS[:, None])
    costs = _costs(demand, candidates)
    best = np.argmin(costs, axis=0)
    columns = np.arange(len(scales))
    return costs[best, columns], candidates[best, columns]


def _costs(demand: Demand, scales: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the cost of each of ``scales``; those within half a bin of the preferred one count as it.

    An input that leaves its own scale would have the host round every value a second time, and what that does to
    features that vary little is not in its cost: of spectra the mean variance is that of the strongest band.
    """
    costs = demand.costs(scales)
    if demand.power_of_two:
        exponents = np.log2(scales)
        costs = np.where(np.abs(exponents - np.rint(exponents)) <= 0.5 / BINS, costs, math.inf)
    if demand.preferred is None:
        return costs
    hit = np.abs(np.log2(scales / demand.preferred)) <= 0.5 / BINS
    return np.where(hit & (costs < math.inf), 0.0, math.inf if demand.required else costs + _LEAVING)


def _pins(groups: ScaleGroups, demands: Sequence[Demand], solution: NDArray[np.float64]) -> Iterator[tuple[int, float]]:
    """Yield the fraction groups that the solution put on a member's preferred scale, with the exact number."""
    for index, demand in enumerate(demands):
        if demand.preferred is None and not demand.power_of_two:
            continue
        group = groups.fraction_group[index]
        exact = (math.log2(demand.preferred) if demand.preferred else 0.0) - groups.offset[index]
        distance = (exact - solution[group] + 0.5) % 1.0 - 0.5
        if abs(distance) <= 0.5 / BINS + 1e-9:
            yield group, float(solution[group] + distance)


def _settle(
    solution: NDArray[np.float64], edges: Sequence[_Edge], pins: Iterator[tuple[int, float]]
) -> NDArray[np.float64]:
    """Return the solution moved within its bins, so that layers on their own grid are on it exactly.

    Layers kept to within a bin form a graph; a spanning forest of it can be made exact, from pinned groups outwards.
    """
    fractions = solution.copy()
    pinned = dict(pins)
    graph: nx.Graph[int] = nx.Graph()
    graph.add_nodes_from(range(len(solution)))
    for edge in edges:
        residue = edge.residue(solution)
        if edge.source != edge.sink and abs(residue) <= 0.5 / BINS + 1e-9:
            graph.add_edge(edge.source, edge.sink, edge=edge)
    for group, fraction in pinned.items():
        fractions[group] = fraction
    settled = set(pinned)
    for root in [*pinned, *range(len(solution))]:
        if root in settled and root not in pinned:
            continue
        settled.add(root)
        for parent, child in nx.bfs_edges(graph, root):
            if child in settled:
                continue
            settled.add(child)
            edge = graph[parent][child]["edge"]
            residue = edge.residue(fractions)
            fractions[child] += residue if edge.source == child else -residue
    return fractions
