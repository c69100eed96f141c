"""``requantize``: a named recipe of the passes in this folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import ClassVar, Literal

from mrqc.calibration import Teacher
from mrqc.ir.graph import Module
from mrqc.passes.definition import CalibratedPass, Exactness, Pass
from mrqc.passes.pipeline import parse_passes
from mrqc.passes.requantize.absorb_zero_points import AbsorbZeroPoints
from mrqc.passes.requantize.align_scales import AlignScales
from mrqc.passes.requantize.assign_scales import AssignScales
from mrqc.passes.requantize.balance_rounding import BalanceRounding
from mrqc.passes.requantize.correct_biases import CorrectBiases
from mrqc.passes.requantize.equalize import Equalize
from mrqc.passes.requantize.keep_weights import KeepWeights
from mrqc.passes.requantize.quantize_biases import QuantizeBiases
from mrqc.passes.requantize.rescale_outliers import RescaleOutliers
from mrqc.passes.requantize.round_weights import RoundWeights
from mrqc.passes.requantize.scale_weights import ClipWeights, CorrectWeights, FoldRoundingError, MergeChannels
from mrqc.passes.requantize.symmetrize import Symmetrize
from mrqc.targets import Target

STEPS: tuple[type[Pass], ...] = (
    Symmetrize,
    Equalize,
    AssignScales,
    CorrectWeights,
    MergeChannels,
    FoldRoundingError,
    ClipWeights,
    RescaleOutliers,
    KeepWeights,
    RoundWeights,
    CorrectBiases,
    BalanceRounding,
    QuantizeBiases,
    AbsorbZeroPoints,
    AlignScales,
)
"""What recipes consist of, in the order in which they would run."""

Recipe = Literal["fast", "default", "best"]

_FEW = "limit=16 values=60000000"


def _start(few: str = "") -> str:
    """Return what every recipe begins with; ``few`` are options of the passes that look at samples.

    What ``correct-weights``, ``merge-channels`` and ``fold-rounding-error`` would do is among what ``clip-weights``
    chooses from: the file's grid, one scale for channels that had several, scales at which multipliers are shifts.
    """
    few = f"{{{few}}}" if few else ""
    return f"symmetrize,assign-scales{few},clip-weights,rescale-outliers{few}"


_SMALL_LAYERS = "places=1024 positions=4096 fan-in=32"
_END = "balance-rounding,quantize-biases,absorb-zero-points,align-scales"

RECIPES: Mapping[Recipe, str] = MappingProxyType(
    {
        "fast": f"{_start(_FEW)},round-weights{{method=closed-form {_SMALL_LAYERS} {_FEW}}},{_END}",
        "default": f"{_start()},round-weights{{method=closed-form}},{_END}",
        "best": f"{_start()},round-weights{{method=adaptive places=16384}},correct-biases{{positions=65536}},{_END}",
    }
)
"""What re-quantizes a module: ``fast`` in seconds, on a few samples; all with data or synthetic pictures."""


@dataclass(frozen=True)
class Requantize(CalibratedPass):
    """Move a module to the target's scheme: the passes of a recipe, which pipelines list one by one when they run.

    Attributes:
        target: The scheme.
        recipe: Which passes.
        io: As ``symmetrize`` has it.
    """

    name: ClassVar[str] = "requantize"
    summary: ClassVar[str] = "stand for the passes of a recipe, from symmetrize to align-scales"
    exactness: ClassVar[Exactness] = "lossy"
    target: Target
    recipe: Recipe = "default"
    io: Literal["target", "original"] = "target"

    @property
    def passes(self) -> tuple[Pass, ...]:
        """The passes that this one stands for."""
        passes = parse_passes(RECIPES[self.recipe], STEPS, self.target)
        return tuple(
            replace(pass_, io=self.io) if isinstance(pass_, Symmetrize | AlignScales) else pass_ for pass_ in passes
        )

    def run(self, module: Module, teacher: Teacher) -> Module:
        """Return the module in the target's scheme."""
        for pass_ in self.passes:
            module = pass_.run(module, teacher) if isinstance(pass_, CalibratedPass) else pass_(module)
        return module
