"""The passes, the pipelines and the manager that runs them."""

import re
from collections.abc import Mapping
from types import MappingProxyType

from mrqc.errors import UsageError
from mrqc.passes.canonicalize import Canonicalize
from mrqc.passes.definition import CalibratedPass, Exactness, Pass
from mrqc.passes.eliminate_common_subexpressions import EliminateCommonSubexpressions
from mrqc.passes.eliminate_dead_code import EliminateDeadCode
from mrqc.passes.fold_batch_normalization import FoldBatchNormalization
from mrqc.passes.fold_qdq import FoldQdq
from mrqc.passes.legalize import Legalize
from mrqc.passes.lower_to_int import LowerToInt
from mrqc.passes.manager import Instruments, PassRecord, run_pipeline
from mrqc.passes.pipeline import describe_options, format_pass, parse_passes
from mrqc.passes.requantize import (
    RECIPES,
    STEPS,
    AbsorbZeroPoints,
    AlignScales,
    AssignScales,
    BalanceRounding,
    ClipWeights,
    CorrectBiases,
    CorrectWeights,
    Equalize,
    FoldRoundingError,
    KeepWeights,
    MergeChannels,
    QuantizeBiases,
    Recipe,
    Requantize,
    RescaleOutliers,
    RoundWeights,
    Symmetrize,
)
from mrqc.passes.strip_edges import StripEdges
from mrqc.targets import Target

PASSES: tuple[type[Pass], ...] = (
    FoldQdq,
    Canonicalize,
    FoldBatchNormalization,
    StripEdges,
    Requantize,
    *STEPS,
    LowerToInt,
    EliminateCommonSubexpressions,
    EliminateDeadCode,
    Legalize,
)
"""Every pass, in the order in which the default pipeline would run them."""

PIPELINES: Mapping[str, str] = MappingProxyType(
    {
        "import": "fold-qdq,canonicalize",
        "default": (
            "fold-batch-normalization,strip-edges,canonicalize,requantize,canonicalize,lower-to-int,canonicalize,"
            "eliminate-common-subexpressions,eliminate-dead-code,legalize"
        ),
        "reference": (
            "fold-batch-normalization,strip-edges,canonicalize,lower-to-int,canonicalize,"
            "eliminate-common-subexpressions,eliminate-dead-code,legalize"
        ),
    }
)
"""Named pipelines: ``import`` runs on every loaded model; a target names the one that lowers to it."""

_REQUANTIZE = re.compile(r"(?<![\w-])requantize(?![\w-])(?:\s*\{([^{}]*)\})?")


def pipeline_for(target: Target, recipe: str | None = None) -> str:
    """Return the pipeline that lowers to a target, by a recipe in place of its own if one is given.

    Raises:
        UsageError: There is no such recipe.
    """
    text = PIPELINES.get(target.pipeline, target.pipeline)
    if recipe is None:
        return text
    if not any(recipe == known for known in RECIPES):
        raise UsageError(f"no recipe is called {recipe!r} (possible: {', '.join(RECIPES)})")

    def with_recipe(match: re.Match[str]) -> str:
        kept = [option for option in (match[1] or "").split() if not option.startswith("recipe=")]
        return f"requantize{{{' '.join([*kept, f'recipe={recipe}'])}}}"

    return _REQUANTIZE.sub(with_recipe, text)


def parse_pipeline(text: str, target: Target | None = None) -> tuple[Pass, ...]:
    """Return the passes of a pipeline, given by name or pass by pass; those of a recipe stand for ``requantize``.

    Raises:
        UsageError: As :func:`parse_passes`.
    """
    passes = parse_passes(PIPELINES.get(text.strip(), text), PASSES, target)
    return tuple(step for pass_ in passes for step in (pass_.passes if isinstance(pass_, Requantize) else (pass_,)))


__all__ = [
    "PASSES",
    "PIPELINES",
    "RECIPES",
    "STEPS",
    "AbsorbZeroPoints",
    "AlignScales",
    "AssignScales",
    "BalanceRounding",
    "CalibratedPass",
    "Canonicalize",
    "ClipWeights",
    "CorrectBiases",
    "CorrectWeights",
    "EliminateCommonSubexpressions",
    "EliminateDeadCode",
    "Equalize",
    "Exactness",
    "FoldBatchNormalization",
    "FoldQdq",
    "FoldRoundingError",
    "Instruments",
    "KeepWeights",
    "Legalize",
    "LowerToInt",
    "MergeChannels",
    "Pass",
    "PassRecord",
    "QuantizeBiases",
    "Recipe",
    "Requantize",
    "RescaleOutliers",
    "RoundWeights",
    "StripEdges",
    "Symmetrize",
    "UsageError",
    "describe_options",
    "format_pass",
    "parse_passes",
    "parse_pipeline",
    "pipeline_for",
    "run_pipeline",
]
