"""Re-quantization of small modules, as several tests do it."""

from __future__ import annotations

from typing import Literal

import mrqc
from mrqc.calibration import CalibrationSamples
from mrqc.ir import Module
from mrqc.targets import Target, load_target

TARGETS = ["sym-npu", "pow2-npu"]


WITHOUT_DATA = (
    "symmetrize,assign-scales,correct-weights,merge-channels,fold-rounding-error,clip-weights,round-weights,"
    "quantize-biases,absorb-zero-points"
)
"""Every pass that looks at no samples: what they give can be said beforehand."""


def requantized(module: Module, target: str | Target) -> Module:
    return mrqc.requantize(module, target, passes=WITHOUT_DATA)


def lowered(module: Module, target: str | Target, io: Literal["target", "original"] = "target") -> Module:
    return mrqc.lower(module, target, CalibrationSamples.synthetic(module, 4), io=io, recipe="fast")


def with_scheme(target: str, **sections: dict[str, object]) -> Target:
    content = load_target(target).model_dump()
    for section, changes in sections.items():
        content[section] = {**content[section], **changes}
    return Target.model_validate(content)


def only(module: Module, op: type) -> list[object]:
    return [statement.op for statement in module.graph.statements if isinstance(statement.op, op)]
