"""What there is to decide about activations: one scale for each group of tied tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mrqc.analysis.scale_groups import ScaleGroups, scale_groups
from mrqc.errors import TargetError
from mrqc.ir.dtype import DType
from mrqc.ir.graph import Module
from mrqc.ir.op import Value
from mrqc.ir.types import Element
from mrqc.ops import nn
from mrqc.passes.requantize.activations import ActivationRange, activation_ranges
from mrqc.passes.requantize.storage import Storage, Zero
from mrqc.passes.requantize.zero_points import absorbable, mean_links
from mrqc.targets import Target


@dataclass(frozen=True, slots=True)
class Demand:
    """What a group of tied activations asks of its scale.

    Attributes:
        range: The joint real range of its members.
        storage: The codes that they can have.
        preferred: A scale at which nothing is lost or that is required, if there is one.
        required: Whether no other than the preferred scale will do.
    """

    range: ActivationRange
    storage: Storage
    preferred: float | None = None
    required: bool = False

    @property
    def least_scale(self) -> float:
        """The scale to start from: the preferred one, else the least that clips nothing."""
        return self.preferred or self.storage.least_scale(self.range)


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
        centre: bool,
        own: Mapping[str, Element],
    ) -> ActivationPlan:
        """Return the plan of a module.

        Args:
            module: In the form of re-quantization.
            target: Whose schemes.
            ranges: The real range of activations by name; the module's own elements and clamps cut it.
            centre: Whether zero points may be absorbed by biases.
            own: Elements of the original model, by name.

        Raises:
            TargetError: Ties of scales that contradict each other.
        """
        groups = scale_groups(module, target.requantize.only_shifts)
        if groups.conflicts:
            raise TargetError.collect(f"target {target.name} cannot run this model", groups.conflicts)
        found = activation_ranges(module, ranges)
        centred = absorbable(module, groups.group_of) if centre and target.activation.symmetric else frozenset[int]()
        softmaxes = {
            groups.group_of[statement.result]
            for statement in module.graph.statements
            if isinstance(statement.op, nn.Softmax)
        }
        entries = {value.name for value in module.graph.inputs}
        demands: list[Demand] = []
        for index, members in enumerate(groups.members):
            joint = found[members[0]]
            for value in members[1:]:
                joint = joint.join(found[value])
            storage = _storage(target, joint, index in centred)
            demand = Demand(joint, storage)
            if index in softmaxes:
                demand = replace(demand, preferred=_softmax_scale(storage), required=True)
            else:
                # An input that keeps its codes loses nothing; elsewhere that is a matter of cost.
                entry = next((value.name for value in members if value.name in entries), None)
                demand = replace(demand, preferred=_lossless_scale(own.get(entry or ""), storage))
            demands.append(demand)
        return cls(module, groups, demands)

    def least_scales(self) -> list[float]:
        """Return the scale of each group where nothing is clipped."""
        return [demand.least_scale for demand in self.demands]

    def elements(self, scales: Sequence[float]) -> dict[str, Element]:
        """Return the element of each activation, by name, at the scales of the groups.

        Where a mean joins two groups with zero points, both have the same real offset, or none has one.
        """
        demands = list(self.demands)
        links = list(mean_links(self.module, self.groups.group_of))
        zero_points = [d.storage.zero_point(d.range, scale) for d, scale in zip(demands, scales, strict=True)]
        for operand, result in links:
            source, sink = self.groups.group_of[operand], self.groups.group_of[result]
            if Zero.CENTRED not in (demands[source].storage.zero, demands[sink].storage.zero):
                continue
            offset = zero_points[source] * scales[source] / scales[sink]
            if abs(offset - round(offset)) > 1e-6 or not _is_code(round(offset), demands[sink].storage):
                raise AssertionError(f"the mean {result} shifts its zero point by {offset}")
            zero_points[sink] = round(offset)
        return {
            value.name: Element.per_tensor(demands[group].storage.dtype, scales[group], zero_points[group])
            for value, group in self.groups.group_of.items()
        }


def _is_code(code: int, storage: Storage) -> bool:
    return storage.minimum <= code <= storage.maximum


def _storage(target: Target, range_: ActivationRange, centred: bool) -> Storage:
    """Return the storage that a target has for a range."""
    scheme = target.activation
    dtype = scheme.storage
    if not scheme.symmetric:
        return Storage(dtype, scheme.minimum, scheme.maximum, Zero.FREE)
    if centred and dtype.bytes == 1:
        return Storage(dtype, scheme.minimum, scheme.maximum, Zero.CENTRED)
    return Storage(dtype, scheme.minimum, scheme.maximum, Zero.FIXED)


def _softmax_scale(storage: Storage) -> float:
    """Return the scale of probabilities: the greatest code is the nearest to 1."""
    return 2.0**-7 if storage.zero is Zero.FIXED and storage.dtype is DType.I8 else 2.0**-8


def _lossless_scale(element: Element | None, storage: Storage) -> float | None:
    """Return an element's own scale where all its codes, less the zero point, are codes of the storage; else None."""
    quantization = None if element is None else element.quantization
    if element is None or quantization is None or not quantization.is_per_tensor:
        return None
    low, high = element.dtype.minimum - quantization.zero_point, element.dtype.maximum - quantization.zero_point
    return quantization.scale if storage.holds(low, high) and np.isfinite(quantization.scale) else None


Scales = NDArray[np.float64]
