"""The passes, the pipelines and the manager that runs them."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, get_args

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
from mrqc.passes.requantize import Requantize
from mrqc.passes.strip_edges import StripEdges
from mrqc.targets import Target

PASSES: tuple[type[Pass], ...] = (
    FoldQdq,
    Canonicalize,
    FoldBatchNormalization,
    StripEdges,
    Requantize,
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

Recipe = Literal["fast", "default", "best"]
"""How much work re-quantization may take: ``fast`` looks at no data, ``best`` at what takes longest."""
RECIPES: tuple[Recipe, ...] = get_args(Recipe)


def pipeline_for(target: Target, recipe: str | None = None) -> str:
    """Return the pipeline that lowers to a target by a recipe, pass by pass or by name.

    Raises:
        UsageError: There is no such recipe.
    """
    if recipe is not None and recipe not in RECIPES:
        raise UsageError(f"no recipe is called {recipe!r} (possible: {', '.join(RECIPES)})")
    return target.pipeline


def parse_pipeline(text: str, target: Target | None = None) -> tuple[Pass, ...]:
    """Return the passes of a pipeline, given by name or pass by pass.

    Raises:
        UsageError: As :func:`parse_passes`.
    """
    return parse_passes(PIPELINES.get(text.strip(), text), PASSES, target)


__all__ = [
    "PASSES",
    "PIPELINES",
    "RECIPES",
    "CalibratedPass",
    "Canonicalize",
    "EliminateCommonSubexpressions",
    "EliminateDeadCode",
    "Exactness",
    "FoldBatchNormalization",
    "FoldQdq",
    "Instruments",
    "Legalize",
    "LowerToInt",
    "Pass",
    "PassRecord",
    "Recipe",
    "Requantize",
    "StripEdges",
    "UsageError",
    "describe_options",
    "format_pass",
    "parse_passes",
    "parse_pipeline",
    "pipeline_for",
    "run_pipeline",
]
