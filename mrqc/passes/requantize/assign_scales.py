"""``assign-scales``: one scale for each group of tied activations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from mrqc.calibration import Teacher
from mrqc.ir.graph import Module
from mrqc.ir.types import Element
from mrqc.passes.definition import CalibratedPass, Exactness
from mrqc.passes.requantize.activations import activation_ranges
from mrqc.passes.requantize.assignment import Contraction, JointAssignment
from mrqc.passes.requantize.distribution import Distribution, distributions
from mrqc.passes.requantize.form import Edits, edited, layers_of
from mrqc.passes.requantize.plan import ActivationPlan
from mrqc.passes.requantize.repeated_rounding import RepeatedRounding
from mrqc.targets import Target

_ROUNDS = 4
"""How often scales are chosen anew at the zero points of the last ones."""
_GAIN = 0.999
"""What such a round must make of the cost."""


@dataclass(frozen=True)
class AssignScales(CalibratedPass):
    """Choose the scales of all activations.

    Attributes:
        target: Its multipliers decide what ``auto`` is.
        method: ``min-max``: nothing is clipped. ``error``: each tensor by itself at the least error, clipping included.
            ``joint``: all together, so that every multiplier can be a power of two at the least cost to activations
            and weights (docs/requantization.md equations 6 to 8). ``auto``: ``joint`` where the target only shifts,
            else ``error``.
        samples: Whether to look at what values activations take on the samples, data or synthetic pictures.
        repeat: Whether the results of layers near the inputs stay on the original's grid where they are nearer to it
            then, because they mostly repeat its rounding (equation 20). Only where scales are chosen together, and
            with ``samples``.
        limit: How many of the samples, as ``correct-biases`` has it.
        values: Likewise.
    """

    name: ClassVar[str] = "assign-scales"
    summary: ClassVar[str] = "choose the scales of activations, jointly where multipliers are powers of two"
    exactness: ClassVar[Exactness] = "lossy"
    target: Target
    method: Literal["auto", "min-max", "error", "joint"] = "auto"
    samples: bool = True
    repeat: bool = True
    limit: int = 0
    values: int = 0

    def run(self, module: Module, teacher: Teacher) -> Module:
        """Return the module at the new scales.

        Raises:
            TargetError: Ties of scales that contradict each other.
        """
        teacher = teacher.with_few(self.limit, self.values)
        ranges = {value.name: range_ for value, range_ in activation_ranges(teacher.module).items()}
        own = {value.name: value.type.element for value in teacher.module.graph.values()}
        seen: Mapping[str, Distribution] = distributions(teacher) if self.samples else {}
        plan = ActivationPlan.of(module, self.target, ranges, own, seen=seen)
        is_joint = self.method == "joint" or (self.method == "auto" and self.target.requantize.only_shifts)
        if not is_joint:
            if self.method == "min-max":
                return edited(module, Edits(plan.elements(plan.least_scales())))
            # Without samples nothing tells how much of its range a tensor needs, and what a mean takes of it.
            plan, scales = plan.searched_freely(own) if seen else (plan, plan.scales_of_least_error(own))
            return edited(module, Edits(plan.elements(scales)))
        contractions = [
            Contraction(
                layer.op.input,
                layer.statement.result,
                layer.grid,
                self.target.weight.is_per_channel_for(layer.op.mnemonic),
            )
            for layer in layers_of(module)
        ]
        assignment = JointAssignment(plan.groups, contractions, self.target)
        chosen = edited(module, Edits(self._joint(plan, assignment)))
        if not (self.samples and self.repeat):
            return chosen
        search, kept = RepeatedRounding(teacher, self.target), list[str]()
        while (name := search.next(chosen, kept)) is not None:
            kept.append(name)
            chosen = edited(module, Edits(self._joint(plan.keeping(kept, own), assignment)))
        return chosen

    def _joint(self, plan: ActivationPlan, assignment: JointAssignment) -> dict[str, Element]:
        """Return the elements of activations at scales that are chosen together.

        Where additions and means decide offsets, these come from whole ranges at first; then zero points are chosen at
        the scales that were found, and scales at these zero points, as long as that costs less.
        """
        found: tuple[float, dict[str, Element]] | None = None
        for _ in range(_ROUNDS):
            plan, scales = plan.searched(assignment.scales(plan.demands))
            scales = assignment.with_shifts(scales)
            cost = assignment.cost(scales, plan.demands)
            if found is not None and not cost < found[0] * _GAIN:
                break
            found = cost, plan.elements(scales)
        assert found is not None
        return found[1]
