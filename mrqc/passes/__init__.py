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
    AbsorbZeroPoints,
    AlignScales,
    AssignScales,
    ClipWeights,
    CorrectBiases,
    CorrectWeights,
    FoldRoundingError,
    KeepWeights,
    QuantizeBiases,
    Recipe,
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
    Symmetrize,
    AssignScales,
    CorrectWeights,
    FoldRoundingError,
    ClipWeights,
    KeepWeights,
    RoundWeights,
    CorrectBiases,
    QuantizeBiases,
    AbsorbZeroPoints,
    AlignScales,
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

_REQUANTIZE = re.compile(r"(?<![\w-])requantize(?:\{\s*recipe=(\w+)\s*\})?(?![\w-])")


def pipeline_for(target: Target, recipe: str | None = None) -> str:
    """Return the pipeline that lowers to a target by a recipe, pass by pass.

    Raises:
        UsageError: There is no such recipe.
    """
    text = PIPELINES.get(target.pipeline, target.pipeline)
    return text if recipe is None else _REQUANTIZE.sub(f"requantize{{recipe={recipe}}}", text)


def parse_pipeline(text: str, target: Target | None = None) -> tuple[Pass, ...]:
    """Return the passes of a pipeline, given by name or pass by pass; ``requantize`` stands for a recipe's passes.

    Raises:
        UsageError: As :func:`parse_passes`, or there is no such recipe.
    """
    return parse_passes(_REQUANTIZE.sub(_recipe_passes, PIPELINES.get(text.strip(), text)), PASSES, target)


def _recipe_passes(match: re.Match[str]) -> str:
    recipe = match[1] or "default"
    if recipe not in RECIPES:
        raise UsageError(f"no recipe is called {recipe!r} (possible: {', '.join(RECIPES)})")
    return RECIPES[recipe]


__all__ = [
    "PASSES",
    "PIPELINES",
    "RECIPES",
    "AbsorbZeroPoints",
    "AlignScales",
    "AssignScales",
    "CalibratedPass",
    "Canonicalize",
    "ClipWeights",
    "CorrectBiases",
    "CorrectWeights",
    "EliminateCommonSubexpressions",
    "EliminateDeadCode",
    "Exactness",
    "FoldBatchNormalization",
    "FoldQdq",
    "FoldRoundingError",
    "Instruments",
    "KeepWeights",
    "Legalize",
    "LowerToInt",
    "Pass",
    "PassRecord",
    "QuantizeBiases",
    "Recipe",
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
