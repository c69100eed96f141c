"""An ablation as plain text."""

from __future__ import annotations

from mrqc.report.ablation import Ablation, AblationRow
from mrqc.report.table import format_table

MISSING = "-"
_HEADER = ("rung", "top-1", "lost/gained", "agreement", "KL", "SQNR dB", "logits dB", "runs", "KL change", "dB change")


def format_ablation(ablation: Ablation) -> str:
    """Return the rungs, what each technique contributes, and why some rungs run over the reals.

    A change is measured against naive for a technique alone, and against the rung before for all up to it; where a
    technique takes the place of another one, against the rung before that.
    """
    original = "" if ablation.top1_original is None else f", original top-1 {ablation.top1_original:.4f}"
    parts = [f"{ablation.model} on {ablation.target}: {ablation.images} samples{original}\n"]
    parts.append(without_empty_columns([_cells(row) for row in ablation.rows], _HEADER))
    if ablation.contributions:
        parts.append("\nWhat each technique contributes: change of KL and of SQNR in dB\n")
        rows = [
            (one.technique, *_changes(*one.alone), *_changes(*one.cumulative), one.summary)
            for one in ablation.contributions
        ]
        parts.append(without_empty_columns(rows, ("technique", "alone KL", "dB", "on top KL", "dB", "what it is")))
    reasons = dict.fromkeys(row.reason for row in ablation.rows if row.reason and row.rung.kind != "control")
    if reasons:
        parts.append("\nOver the reals, because the target cannot run these rungs:\n")
        parts += [f"  {reason}\n" for reason in reasons]
    return "".join(parts)


def _cells(row: AblationRow) -> tuple[str, ...]:
    found = row.fidelity
    flips = MISSING if found.lost is None else f"{found.lost}/{found.gained}"
    return (
        row.rung.name,
        format_number(found.top1, ".4f"),
        flips,
        format_number(found.agreement, ".4f"),
        format_number(found.kl, ".6f"),
        format_number(found.sqnr_db, ".2f"),
        format_number(found.logits_sqnr_db, ".2f"),
        "integers" if row.engine == "simulator" else "over the reals",
        *_changes(row.kl_change, row.sqnr_change_db),
    )


def without_empty_columns(rows: list[tuple[str, ...]], header: tuple[str, ...]) -> str:
    """Return a table without the columns in which nothing could be measured."""
    kept = [index for index in range(len(header)) if any(row[index] != MISSING for row in rows)]
    return format_table([[row[index] for index in kept] for row in rows], [header[index] for index in kept])


def format_number(number: float | None, form: str) -> str:
    """Return a number, a dash where it could not be measured."""
    return MISSING if number is None else format(number, form)


def _changes(kl: float | None, decibels: float | None) -> tuple[str, str]:
    return format_number(kl, "+.6f"), format_number(decibels, "+.2f")
