"""Zero points of tensors that additions and means meet, chosen together with their scales.

Where a sum, an operand and a mean have their codes is one question: what one of them shifts, another one has to take.
Where multipliers are powers of two, fractions of octaves stay as they are, so that every multiplier stays one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mrqc.passes.requantize.demand import Demand
from mrqc.passes.requantize.form import Real
from mrqc.passes.requantize.offsets import Offsets
from mrqc.passes.requantize.storage import Zero

_OCTAVES = np.exp2(np.arange(-2, 3))
"""What a scale may be multiplied by."""
_ZEROS = 17
"""How many zero points are tried, evenly over the codes, besides those at which a range lies in their middle."""
_BESIDE = np.arange(-4.0, 5.0)
"""Zero points that are tried beside the present one and the middle, on the original's grid."""
_MOST = 128
"""Scales and zero points of a group that are looked at, the cheapest ones: those of a pair are looked at together."""
_SWEEPS = 6


class OffsetSearch:
    """Coordinate descent over the groups that decide about offsets; the others follow."""

    def __init__(
        self,
        offsets: Offsets,
        demands: Sequence[Demand],
        scales: Sequence[float],
        others: Sequence[Real] | None = None,
    ) -> None:
        """Begin with each zero point where its group likes it.

        Args:
            offsets: How offsets depend on each other.
            demands: Of all groups, before anything fixes their offsets.
            scales: Of all groups.
            others: Scales that each group may have instead; without them octaves of the present ones.
        """
        self._offsets = offsets
        self._demands = demands
        self._scales = list(scales)
        self._others = others
        self._tables: dict[tuple[int, float], Real] = {}
        self._zeros = [demand.storage.zero_point(demand.range, s) for demand, s in zip(demands, scales, strict=True)]
        self._dependent = {group for group in offsets.dependent() if demands[group].storage.zero is Zero.CENTRED}
        self._deciding = sorted(
            group
            for group in offsets.met() - offsets.dependent()
            if demands[group].storage.zero is Zero.CENTRED and demands[group].preferred is None
        )

    def run(self) -> tuple[list[Demand], list[float]]:
        """Return the demands with their zero points, and the scales."""
        moves = [(group,) for group in self._deciding]
        # What one side of an addition gives up the other one has to take in the same move.
        moves += [pair for pair in self._offsets.pairs() if set(pair) <= set(self._deciding)]
        for _ in range(_SWEEPS):
            if not any([self._move(groups) for groups in moves]):
                break
        self._follow()
        moved = self._dependent | set(self._deciding)
        demands = [
            replace(demand, storage=replace(demand.storage, code=zero)) if group in moved else demand
            for group, (demand, zero) in enumerate(zip(self._demands, self._zeros, strict=True))
        ]
        return demands, self._scales

    def _move(self, groups: tuple[int, ...]) -> bool:
        """Take the best scales and zero points of a group or two; return whether these are others."""
        bound = self._present_cost(groups)
        choices = [self._choices(group, bound) for group in groups]
        picked = np.meshgrid(*(np.arange(len(costs)) for _, _, costs in choices), indexing="ij")
        offsets = self._present_offsets()
        total = np.zeros(picked[0].size)
        for group, pick, (scales, zeros, costs) in zip(groups, picked, choices, strict=True):
            total = total + costs[pick.ravel()]
            offsets[group] = (scales * zeros)[pick.ravel()]
        followed = self._offsets.followed(offsets)
        for other in self._dependent:
            if len(followed[other]) > 1:
                total = total + self._best(other, followed[other])[0]
        best = int(np.argmin(total))
        # The present ones come first.
        if not total[best] < total[0] * (1 - 1e-9):
            return False
        for group, pick, (scales, zeros, _) in zip(groups, picked, choices, strict=True):
            index = pick.ravel()[best]
            self._scales[group], self._zeros[group] = float(scales[index]), int(zeros[index])
        return True

    def _present_cost(self, groups: tuple[int, ...]) -> float:
        """Return what groups and all that follow from them cost now: more than that none may cost by itself."""
        followed = self._offsets.followed(self._present_offsets())
        total = sum(float(self._best(group, followed[group])[0][0]) for group in self._dependent)
        for group in groups:
            scale, zero = np.array([self._scales[group]]), np.array([float(self._zeros[group])])
            total += float(self._demands[group].costs_with(scale, zero)[0])
        return total

    def _choices(self, group: int, bound: float) -> tuple[Real, Real, Real]:
        """Return scales and zero points that a group could have, with what they cost: the present ones first."""
        demand, storage, present = self._demands[group], self._demands[group].storage, self._zeros[group]
        scales = self._scales_of(group)
        grid = np.rint(np.linspace(storage.minimum, storage.maximum, _ZEROS))
        ideal = storage.zero_points(demand.range, scales)
        zeros = np.unique(np.concatenate([ideal, grid, [0.0]]))
        if demand.own:
            zeros = np.union1d(zeros, np.add.outer([present, *ideal[: len(demand.own)]], _BESIDE))
        scales, zeros = (each.ravel() for each in np.meshgrid(scales, zeros))
        scales, zeros = np.append(self._scales[group], scales), np.append(present, zeros)
        costs = demand.costs_with(scales, zeros)
        others = 1 + np.flatnonzero(np.isfinite(costs[1:]) & (costs[1:] <= bound))
        if len(others) > _MOST:
            others = np.sort(others[np.argsort(costs[others], kind="stable")[:_MOST]])
        useful = np.append(0, others)
        return scales[useful], zeros[useful], costs[useful]

    def _scales_of(self, group: int) -> Real:
        return self._scales[group] * _OCTAVES if self._others is None else self._others[group]

    def _present_offsets(self) -> list[Real]:
        return [np.array([s * z], np.float64) for s, z in zip(self._scales, self._zeros, strict=True)]

    def _best(self, group: int, offsets: Real) -> tuple[Real, Real]:
        """Return the least cost of a dependent group at each of ``offsets``, and the scale that has it."""
        demand, options = self._demands[group], self._scales_of(group)
        wanted = offsets[:, None] / options
        zeros = np.rint(wanted)
        storage = demand.storage
        codes = np.clip(zeros, storage.minimum, storage.maximum).astype(np.intp) - storage.minimum
        cut_off = np.stack([self._cut_off(group, float(scale)) for scale in options])[np.arange(len(options)), codes]
        costs = np.where(storage.holds_zeros(zeros), cut_off, np.inf) + demand.noise(options, wanted - zeros)
        best = np.argmin(costs, axis=1)
        return costs[np.arange(len(offsets)), best], options[best]

    def _cut_off(self, group: int, scale: float) -> Real:
        """Return what a scale cuts off with each code as zero point, which is asked for again and again."""
        if (group, scale) not in self._tables:
            demand = self._demands[group]
            codes = np.arange(demand.storage.minimum, demand.storage.maximum + 1, dtype=np.float64)
            self._tables[group, scale] = demand.cut_off(np.full_like(codes, scale), codes)
        return self._tables[group, scale]

    def _follow(self) -> None:
        """Set scales and zero points of the dependent groups."""
        offsets = self._offsets.followed(self._present_offsets())
        for group in self._dependent:
            scale = float(self._best(group, offsets[group])[1][0])
            storage = self._demands[group].storage
            zero = np.clip(np.rint(float(offsets[group][0]) / scale), storage.minimum, storage.maximum)
            self._scales[group], self._zeros[group] = scale, int(zero)
