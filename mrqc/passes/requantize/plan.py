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
from mrqc.passes.requantize.demand import Demand
from mrqc.passes.requantize.distribution import Distribution
from mrqc.passes.requantize.form import scale_of
from mrqc.passes.requantize.labels import fixed_groups
from mrqc.passes.requantize.offset_search import OffsetSearch
from mrqc.passes.requantize.offsets import Offsets
from mrqc.passes.requantize.storage import Storage, Zero
from mrqc.passes.requantize.zero_points import Absorption, absorption
from mrqc.targets import Target

_SHRINKING = np.exp2(-np.arange(0, 65) / 32)
"""Scales that are tried, from the one that clips nothing down by two octaves."""
_STRETCHED = np.exp2(np.arange(-4, 17) / 4)
"""Scales that are tried where offsets may not be what a group likes, over the least one that clips nothing."""


@dataclass(frozen=True)
class ActivationPlan:
    """The groups of a module's activations, and what each asks for.

    Attributes:
        module: In the form of re-quantization.
        groups: Which activations are tied.
        demands: One for each exact group.
        free: The same, before additions and means fix offsets.
        offsets: What these fix.
    """

    module: Module
    groups: ScaleGroups
    demands: Sequence[Demand]
    free: Sequence[Demand]
    offsets: Offsets

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
        offsets = Offsets(module, groups.group_of, absorbed.balancing)
        return cls(module, groups, offsets.of_ranges(demands), demands, offsets)

    def keeping(self, names: Sequence[str], own: Mapping[str, Element]) -> ActivationPlan:
        """Return the plan in which activations prefer the grid that they have in the original.

        Args:
            names: Of the activations. Of those whose fractions of octaves are tied only the first has its way.
            own: Elements of the original, by name.
        """
        demands, free = list(self.demands), list(self.free)
        fractions = self.groups.fraction_group
        bound = {fractions[i] for i, one in enumerate(demands) if one.preferred is not None or one.power_of_two}
        group_of = {value.name: group for value, group in self.groups.group_of.items()}
        for name in names:
            group = group_of[name]
            scale = _lossless_scale(own.get(name), demands[group].storage)
            if scale is not None and fractions[group] not in bound:
                bound.add(fractions[group])
                demands[group] = replace(demands[group], preferred=scale)
                free[group] = replace(free[group], preferred=scale)
        return replace(self, demands=demands, free=free)

    def searched(self, scales: Sequence[float]) -> tuple[ActivationPlan, list[float]]:
        """Return the plan with zero points where additions and means meet, and the scales, by whole octaves others."""
        demands, moved = OffsetSearch(self.offsets, self.free, scales).run()
        return replace(self, demands=demands), moved

    def searched_freely(self, own: Mapping[str, Element]) -> tuple[ActivationPlan, list[float]]:
        """Return the plan with zero points where additions and means meet, and scales of least error.

        Multipliers are free, so groups share nothing but these zero points. On the grid that a tensor has in the
        original its rounding is repeated, as far as what others leave it is a whole code.
        """
        free = [replace(demand, own=self._own_scales(group, own)) for group, demand in enumerate(self.free)]
        options = [np.array([*demand.own, *(demand.storage.least_scale(demand.range) * _STRETCHED)]) for demand in free]
        first = replace(self, demands=free).scales_of_least_error(own)
        demands, scales = OffsetSearch(self.offsets, free, first, options).run()
        return replace(self, demands=demands), scales

    def _own_scales(self, group: int, own: Mapping[str, Element]) -> tuple[float, ...]:
        """Return the scales that members of a group have in the original."""
        scales = (_scale_of(own.get(value.name)) for value in self.groups.members[group])
        return tuple(sorted({scale for scale in scales if scale is not None}))

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
        for group, demand in enumerate(self.demands):
            if demand.required or demand.least_scale == demand.preferred:
                found.append(demand.least_scale)
                continue
            kept = self._own_scales(group, own)
            others = demand.least_scale * _SHRINKING
            options = np.array([*kept, *others])
            costs = np.concatenate([demand.costs(np.array(kept), rounded=False), demand.costs(others)])
            found.append(float(options[int(np.argmin(costs))]))
        return found

    def elements(self, scales: Sequence[float]) -> dict[str, Element]:
        """Return the element of each activation, by name, at the scales of the groups."""
        # An offset is rounded to codes; what follows from it has it as it is then.
        settled = self.offsets.of_scales(self.demands, scales)
        elements = [demand.storage.element(demand.range, scale) for demand, scale in zip(settled, scales, strict=True)]
        return {value.name: elements[group] for value, group in self.groups.group_of.items()}


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
