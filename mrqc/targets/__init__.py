"""Targets as data: built-in TOML files, user files, and the schema both must meet."""

from mrqc.targets.loader import BUILTIN_TARGETS, load_target, parse_target
from mrqc.targets.schema import (
    AccumulatorScheme,
    ActivationScheme,
    BiasScheme,
    OpSupport,
    RequantizeScheme,
    Semantics,
    Target,
    WeightScheme,
)

__all__ = [
    "BUILTIN_TARGETS",
    "AccumulatorScheme",
    "ActivationScheme",
    "BiasScheme",
    "OpSupport",
    "RequantizeScheme",
    "Semantics",
    "Target",
    "WeightScheme",
    "load_target",
    "parse_target",
]
