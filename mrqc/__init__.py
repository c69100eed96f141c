"""A compiler for models that are already quantized: to another scheme, to C, and to a bit-exact simulator.

>>> module = mrqc.load("model.onnx")
>>> lowered = mrqc.lower(module, target="pow2-npu")
>>> program = mrqc.simulate(lowered)
>>> sources = mrqc.emit_c(lowered, name="kernel")
"""

from typing import TYPE_CHECKING

from mrqc.lazy import lazy_exports

if TYPE_CHECKING:
    from mrqc import calibration, compiler, files, passes, report, targets
    from mrqc.compiler import (
        emit_c,
        emit_onnx,
        emit_tflite,
        load,
        lower,
        parse,
        print_module,
        reference,
        requantize,
        run_passes,
        simulate,
    )
    from mrqc.errors import InputError, MrqcError, PassError, TargetError, UsageError
    from mrqc.ir.graph import Module
    from mrqc.targets import Target, load_target

__all__ = [
    "InputError",
    "Module",
    "MrqcError",
    "PassError",
    "Target",
    "TargetError",
    "UsageError",
    "calibration",
    "compiler",
    "emit_c",
    "emit_onnx",
    "emit_tflite",
    "files",
    "load",
    "load_target",
    "lower",
    "parse",
    "passes",
    "print_module",
    "reference",
    "report",
    "requantize",
    "run_passes",
    "simulate",
    "targets",
]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        **dict.fromkeys(("InputError", "MrqcError", "PassError", "TargetError", "UsageError"), "mrqc.errors"),
        "Module": "mrqc.ir.graph",
        **dict.fromkeys(("Target", "load_target"), "mrqc.targets"),
        **dict.fromkeys(
            (
                *("emit_c", "emit_onnx", "emit_tflite", "load", "lower", "parse", "print_module", "reference"),
                *("requantize", "run_passes", "simulate"),
            ),
            "mrqc.compiler",
        ),
        **{name: f"mrqc.{name}" for name in ("calibration", "compiler", "files", "passes", "report", "targets")},
    },
)
