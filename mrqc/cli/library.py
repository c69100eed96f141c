"""The packages that the commands use, each imported when a command first touches it.

``mrqc --help`` and a mistyped option must not wait for numpy, onnx and the parser to load.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mrqc.lazy import lazy_exports

if TYPE_CHECKING:
    from mrqc import calibration, compiler, passes, report, targets
    from mrqc.backends import c
    from mrqc.cli import progress, tensors
    from mrqc.passes import bit_check

__all__ = [
    "bit_check",
    "c",
    "calibration",
    "compiler",
    "passes",
    "progress",
    "report",
    "targets",
    "tensors",
]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "bit_check": "mrqc.passes.bit_check",
        "c": "mrqc.backends.c",
        "calibration": "mrqc.calibration",
        "compiler": "mrqc.compiler",
        "passes": "mrqc.passes",
        "progress": "mrqc.cli.progress",
        "report": "mrqc.report",
        "targets": "mrqc.targets",
        "tensors": "mrqc.cli.tensors",
    },
)
