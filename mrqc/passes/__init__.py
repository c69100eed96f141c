"""The passes, the pipelines and the manager that runs them."""

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


def parse_pipeline(text: str, target: Target | None = None) -> tuple[Pass, ...]:
    """Return the passes of a pipeline, given by name or pass by pass.

    Raises:
        UsageError: As :func:`parse_passes`.
    """
    return parse_passes(PIPELINES.get(text.strip(), text), PASSES, target)


__all__ = [
    "PASSES",
    "PIPELINES",
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
    "Requantize",
    "StripEdges",
    "UsageError",
    "describe_options",
    "format_pass",
    "parse_passes",
    "parse_pipeline",
    "run_pipeline",
]
