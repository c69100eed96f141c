"""What people want to know of a model: how good it is, whether the C keeps its promise, tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mrqc.lazy import lazy_exports

if TYPE_CHECKING:
    from mrqc.report.ablation import Ablation, AblationRow, Contribution, ablate
    from mrqc.report.ablation_plot import plot_html, plot_svg
    from mrqc.report.ablation_table import format_ablation
    from mrqc.report.attribution import Attribution, AttributionRow, attribute, format_attribution
    from mrqc.report.engines import Runner, own_program
    from mrqc.report.evaluation import Evaluation, evaluate
    from mrqc.report.fidelity import Fidelity, Yardstick
    from mrqc.report.ladder import Rung, ladder_for
    from mrqc.report.table import format_table
    from mrqc.report.tensors import describe_tensor, tensor_facts
    from mrqc.report.verification import Verification, extreme_and_random_inputs, inputs_from_data, verify_c

__all__ = [
    "Ablation",
    "AblationRow",
    "Attribution",
    "AttributionRow",
    "Contribution",
    "Evaluation",
    "Fidelity",
    "Rung",
    "Runner",
    "Verification",
    "Yardstick",
    "ablate",
    "attribute",
    "describe_tensor",
    "evaluate",
    "extreme_and_random_inputs",
    "format_ablation",
    "format_attribution",
    "format_table",
    "inputs_from_data",
    "ladder_for",
    "own_program",
    "plot_html",
    "plot_svg",
    "tensor_facts",
    "verify_c",
]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "Ablation": "mrqc.report.ablation",
        "AblationRow": "mrqc.report.ablation",
        "Attribution": "mrqc.report.attribution",
        "AttributionRow": "mrqc.report.attribution",
        "Contribution": "mrqc.report.ablation",
        "Evaluation": "mrqc.report.evaluation",
        "Fidelity": "mrqc.report.fidelity",
        "Rung": "mrqc.report.ladder",
        "Runner": "mrqc.report.engines",
        "Verification": "mrqc.report.verification",
        "Yardstick": "mrqc.report.fidelity",
        "ablate": "mrqc.report.ablation",
        "attribute": "mrqc.report.attribution",
        "describe_tensor": "mrqc.report.tensors",
        "evaluate": "mrqc.report.evaluation",
        "extreme_and_random_inputs": "mrqc.report.verification",
        "format_ablation": "mrqc.report.ablation_table",
        "format_attribution": "mrqc.report.attribution",
        "format_table": "mrqc.report.table",
        "inputs_from_data": "mrqc.report.verification",
        "ladder_for": "mrqc.report.ladder",
        "own_program": "mrqc.report.engines",
        "plot_html": "mrqc.report.ablation_plot",
        "plot_svg": "mrqc.report.ablation_plot",
        "tensor_facts": "mrqc.report.tensors",
        "verify_c": "mrqc.report.verification",
    },
)
