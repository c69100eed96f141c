"""What people want to know of a model: how good it is, whether the C keeps its promise, tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mrqc.lazy import lazy_exports

if TYPE_CHECKING:
    from mrqc.report.engines import Runner, own_program
    from mrqc.report.evaluation import Evaluation, evaluate
    from mrqc.report.table import format_table
    from mrqc.report.tensors import describe_tensor, tensor_facts
    from mrqc.report.verification import Verification, extreme_and_random_inputs, inputs_from_data, verify_c

__all__ = [
    "Evaluation",
    "Runner",
    "Verification",
    "describe_tensor",
    "evaluate",
    "extreme_and_random_inputs",
    "format_table",
    "inputs_from_data",
    "own_program",
    "tensor_facts",
    "verify_c",
]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "Evaluation": "mrqc.report.evaluation",
        "Runner": "mrqc.report.engines",
        "Verification": "mrqc.report.verification",
        "describe_tensor": "mrqc.report.tensors",
        "evaluate": "mrqc.report.evaluation",
        "extreme_and_random_inputs": "mrqc.report.verification",
        "format_table": "mrqc.report.table",
        "inputs_from_data": "mrqc.report.verification",
        "own_program": "mrqc.report.engines",
        "tensor_facts": "mrqc.report.tensors",
        "verify_c": "mrqc.report.verification",
    },
)
