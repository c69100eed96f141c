"""What there is to decide about activations: one scale for each group of tied tensors."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from mrqc.analysis.scale_groups import ScaleGroups, TieConditions, scale_groups
from mrqc.errors import TargetError
from mrqc.ir.dtype import DType
from mrqc.ir.graph import Module
from mrqc.ir.op import Value
from mrqc.ir.types import Element
from mrqc.ops import nn
from mrqc.passes.requantize.activations import ActivationRange, activation_ranges
from mrqc.passes.requantize.distribution import Distribution
from mrqc.passes.requantize.form import Real, scale_of
from mrqc.passes.requantize.labels import fixed_groups
from mrqc.passes.requantize.storage import Storage, Zero
from mrqc.passes.requantize.zero_points import (
    Absorption,
    absorption,
    addition_of,
    balance,
    mean_links,
    offset_of,
)
from mrqc.targets import Target

_SHRINKING = np.exp2(-np.arange(0, 65) / 32)
"""Scales that are tried, from the one that clips nothing down by two octaves."""


@dataclass(frozen=True, slots=True)
class Demand:
    """What a group of tied activations asks of its scale.

    Attributes:
        range: The joint real range of its members.
        storage: The codes that they can have.
        preferred: A scale at which nothing is lost or that is required, if there is one.
        required: Whether no other than the preferred scale will do.
        power_of_two: Whether no label can be put on its codes but the scale itself, and that is a power of two.
        seen: What values its members take, as far as there are data.
    """

    range: ActivationRange
    storage: Storage
    preferred: float | None = None
    required: bool = False
    power_of_two: bool = False
    seen: tuple[Distribution, ...] = ()

    def costs(self, scales: Real, *, rounded: bool = True) -> Real:
        """Return what its members lose at each of ``scales``: noise over signal power, infinite where zero is lost."""
        if self.seen:
            low, high = self.storage.interval(self.range, scales)
            losses = sum(one.errors(scales, low, high, rounded=rounded) for one in self.seen) / len(self.seen)
        else:
            losses = self.storage.costs(self.range, scales, rounded=rounded)
        return np.where(self.storage.has_zero(scales), losses, np.inf)

    @property
    def least_scale(self) -> float:
        """The scale to start from: the preferred one, else the least that clips nothing."""
        if self.preferred is not None and (self.required or self.storage.has_zero(self.preferred)):
            return self.preferred
        return self.storage.least_scale(self.range)


@dataclass(frozen=True)
class ActivationPlan:
    """The groups of a module's activations, and what each asks for.

    Attributes:
        module: In the form of re-quantization.
        groups: Which activations are tied.
        demands: One for each exact group.
    """

    module: Module
    groups: ScaleGroups
    demands: Sequence[Demand]

    @classmethod
    def of(
        cls,
        module: Module,
        target: Target,
        ranges: Mapping[str, ActivationRange],
        own: Mapping[str, Element],
        centre: bool | None = None,
        seen: Mapping[str, Distribution] = MappingProxyType({}),
    ) -> ActivationPlan:
        """Return the plan of a module.

        Args:
            module: In the form of re-quantization.
            target: Whose schemes.
            ranges: The real range of activations by name; the module's own elements and clamps cut it.
            own: Elements of the original model, by name.
            centre: Whether zero points may be absorbed by biases; None keeps to the groups that have one.
            seen: What values activations take, by name.

        Raises:
            TargetError: Ties of scales that contradict each other.
        """
        groups = scale_groups(module, tie_conditions(target))
        if groups.conflicts:
            raise TargetError.collect(f"target {target.name} cannot run this model", groups.conflicts)
        found = activation_ranges(module, ranges)
        joints = [functools.reduce(ActivationRange.join, (found[value] for value in group)) for group in groups.members]
        absorbed = _absorption(module, groups, joints, target, centre)
        softmaxes = {
            groups.group_of[statement.result]
            for statement in module.graph.statements
            if isinstance(statement.op, nn.Softmax)
        }
        entries = {value.name for value in module.graph.inputs}
        fixed = fixed_groups(module, groups) if target.activation.only_powers_of_two else frozenset[int]()
        demands: list[Demand] = []
        for index, (members, joint) in enumerate(zip(groups.members, joints, strict=True)):
            storage = _storage(target, joint, index in absorbed.groups)
            known = tuple(seen[value.name] for value in members if value.name in seen)
            demand = Demand(joint, storage, power_of_two=index in fixed, seen=known)
            if index in softmaxes:
                demand = replace(demand, preferred=scale_of(target.activation.probabilities), required=True)
            else:
                # An input that keeps its codes loses nothing; elsewhere that is a matter of cost.
                entry = next((value.name for value in members if value.name in entries), None)
                if index not in fixed:
                    demand = replace(demand, preferred=_lossless_scale(own.get(entry or ""), storage))
            demands.append(demand)
        offsets = _Offsets(groups.group_of, demands)
        offsets.decide(module, absorbed.balancing)
        return cls(module, groups, offsets.demands)

    def is_centred(self, value: Value) -> bool:
        """Whether a zero point of an activation would be absorbed."""
        return self.demands[self.groups.group_of[value]].storage.zero is Zero.CENTRED

    def least_scales(self) -> list[float]:
        """Return the scale of each group where nothing is clipped."""
        return [demand.least_scale for demand in self.demands]

    def scales_of_least_error(self, own: Mapping[str, Element]) -> list[float]:
        """Return, for each group by itself, the scale at which it loses least.

        On the grid that a member has in the original nothing is rounded a second time, and where a zero point moves
        that by a few codes, clipping these costs less than a coarser grid (docs/requantization.md equation 7).
        """
        found: list[float] = []
        for demand, members in zip(self.demands, self.groups.members, strict=True):
            if demand.required or demand.least_scale == demand.preferred:
                found.append(demand.least_scale)
                continue
            kept = sorted({scale for value in members if (scale := _scale_of(own.get(value.name))) is not None})
            others = demand.least_scale * _SHRINKING
            options = np.array([*kept, *others])
            costs = np.concatenate([demand.costs(np.array(kept), rounded=False), demand.costs(others)])
            found.append(float(options[int(np.argmin(costs))]))
        return found

    def elements(self, scales: Sequence[float]) -> dict[str, Element]:
        """Return the element of each activation, by name, at the scales of the groups."""
        group_of = self.groups.group_of
        elements = [
            demand.storage.element(demand.range, scale) for demand, scale in zip(self.demands, scales, strict=True)
        ]
        for operand, result in mean_links(self.module, group_of):
            # A mean has the offset that its operand got, and that is rounded to coarser codes than its own.
            offset, demand = offset_of(elements[group_of[operand]]), self.demands[group_of[result]]
            if demand.storage.zero is Zero.CENTRED:
                storage = replace(demand.storage, offset=offset)
                elements[group_of[result]] = storage.element(demand.range, scales[group_of[result]])
        return {value.name: elements[group] for value, group in group_of.items()}


def tie_conditions(target: Target) -> TieConditions:
    """Return what ties scales on a target: what runs on the host has a multiplier of its own."""
    if not target.requantize.only_shifts:
        return TieConditions.of(only_shifts=False)
    addition, pool = target.ops.get("int.add"), target.ops.get("int.average_pool2d")
    if pool is not None and pool.same_scale:
        means = "same"
    else:
        means = "free" if pool is not None and pool.on == "host" else "count"
    return TieConditions(addition is None or addition.on == "accelerator", means)


class _Offsets:
    """Offsets of groups where additions and means decide them.

    The offset of a sum is that of its operands together, a mean has its operand's: what meets one of these lies around
    the middle of its range whatever its scale, and one operand of each addition makes up the difference.
    """

    def __init__(self, group_of: Mapping[Value, int], demands: Sequence[Demand]) -> None:
        self._group_of = group_of
        self.demands = list(demands)

    def decide(self, module: Module, balancing: Mapping[str, Value]) -> None:
        """Fix the offsets of all groups that additions and means of a module meet."""
        additions = [s for s in module.graph.statements if s.result.name in balancing]
        for statement in additions:
            for value in (*statement.op.operands, statement.result):
                if value != balancing[statement.result.name]:
                    self._fix(value, self._of(value))
        for operand, result in mean_links(module, self._group_of):
            self._fix(operand, self._of(operand))
            self._fix(result, self._of(operand))
        for statement in additions:
            op, free = addition_of(statement), balancing[statement.result.name]
            other = op.rhs if free == op.lhs else op.lhs
            self._fix(free, balance(op, free, self._of(statement.result), self._of(other)))

    def _of(self, value: Value) -> float:
        demand = self.demands[self._group_of[value]]
        if demand.storage.zero is not Zero.CENTRED:
            return 0.0
        return demand.storage.middle(demand.range) if demand.storage.offset is None else demand.storage.offset

    def _fix(self, value: Value, offset: float) -> None:
        group = self._group_of[value]
        demand = self.demands[group]
        if demand.storage.zero is Zero.CENTRED:
            self.demands[group] = replace(demand, storage=replace(demand.storage, offset=offset))


def _absorption(
    module: Module, groups: ScaleGroups, joints: Sequence[ActivationRange], target: Target, centre: bool | None
) -> Absorption:
    """Return the groups whose zero points biases absorb."""
    # A narrow bias register has no room for a zero point times the sum of a channel's weights.
    if centre is False or not target.activation.symmetric or target.bias.bits < 32:
        return Absorption(frozenset(), {})
    # Bytes without a sign are for ranges from 0 on and hold them as they are.
    fixed = {index for index, joint in enumerate(joints) if target.activation.storage_for(joint.low >= 0) != DType.I8}
    possible = absorption(module, groups.group_of, fixed)
    if centre:
        return possible
    shifted = {
        group
        for value, group in groups.group_of.items()
        if value.type.quantization is not None and not value.type.quantization.is_symmetric
    }
    # A balancing operand may have its zero at 0 by chance.
    by_name = {value.name: group for value, group in groups.group_of.items()}
    balancing = {by_name[value.name] for name, value in possible.balancing.items() if by_name[name] in shifted}
    return Absorption(possible.groups & (shifted | balancing), possible.balancing)


def _storage(target: Target, range_: ActivationRange, centred: bool) -> Storage:
    """Return the storage that a target has for a range."""
    scheme = target.activation
    dtype = scheme.storage_for(range_.low >= 0.0)
    if not scheme.symmetric:
        return Storage(dtype, *scheme.code_range(dtype), Zero.FREE)
    if centred:
        return Storage(dtype, *scheme.code_range(dtype), Zero.CENTRED)
    return Storage(dtype, *scheme.code_range(dtype), Zero.FIXED)


def _scale_of(element: Element | None) -> float | None:
    quantization = None if element is None else element.quantization
    return quantization.scale if quantization is not None and quantization.is_per_tensor else None


def _lossless_scale(element: Element | None, storage: Storage) -> float | None:
    """Return an element's own scale where all its codes, less the zero point, are codes of the storage; else None."""
    quantization = None if element is None else element.quantization
    if element is None or quantization is None or not quantization.is_per_tensor:
        return None
    low, high = element.dtype.minimum - quantization.zero_point, element.dtype.maximum - quantization.zero_point
    return quantization.scale if storage.holds(low, high) and np.isfinite(quantization.scale) else None
