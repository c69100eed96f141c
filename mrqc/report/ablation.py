"""What each technique of re-quantization contributes, on one model and one target."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from mrqc.calibration import CalibrationSamples, Progress
from mrqc.errors import TargetError, UsageError
from mrqc.ir.graph import Module
from mrqc.passes import Instruments, LowerToInt, Pass, QuantizeBiases, parse_pipeline, run_pipeline
from mrqc.report.fidelity import Fidelity, Yardstick
from mrqc.report.ladder import Kind, Rung, Technique, ladder_for, techniques_for
from mrqc.targets import Target

Engine = Literal["simulator", "reference"]


@dataclass(frozen=True, slots=True)
class AblationRow:
    """One rung and what it is worth.

    Attributes:
        rung: The pipeline.
        engine: ``simulator``: lowered, in integers. ``reference``: over the reals, rounded once after each op, because
            the target cannot run it.
        reason: Why the target cannot run it, None where it can.
        fidelity: What was measured.
        kl_change: KL less that of the rung before; negative is better.
        sqnr_change_db: SQNR of the logits less that of the rung before, in decibels; positive is better.
    """

    rung: Rung
    engine: Engine
    reason: str | None
    fidelity: Fidelity
    kl_change: float | None = None
    sqnr_change_db: float | None = None

    def as_json(self) -> dict[str, object]:
        """Return the fields by name, those of rung and measurement among them."""
        return {
            **asdict(self.rung),
            "engine": self.engine,
            "reason": self.reason,
            **asdict(self.fidelity),
            "kl_change": self.kl_change,
            "sqnr_change_db": self.sqnr_change_db,
        }


@dataclass(frozen=True, slots=True)
class Contribution:
    """What a technique changes; None where that could not be measured.

    Attributes:
        technique: Its name.
        summary: What it does, for a person.
        alone: KL and decibels of SQNR, naive to naive and this.
        cumulative: The same, all techniques before it to those and this.
    """

    technique: str
    summary: str
    alone: tuple[float | None, float | None]
    cumulative: tuple[float | None, float | None]


@dataclass(frozen=True, slots=True)
class Ablation:
    """All rungs of a model on a target.

    Attributes:
        model: The name of the module.
        target: The name of the target.
        images: How many samples were looked at.
        top1_original: Of the original, where there are labels.
        techniques: In the order in which they add up.
        rows: In the order of the ladder.
    """

    model: str
    target: str
    images: int
    top1_original: float | None
    techniques: tuple[Technique, ...]
    rows: tuple[AblationRow, ...]

    def of_kind(self, kind: Kind) -> dict[str, AblationRow]:
        """Return the rows of a kind by technique, or by name where they are about none."""
        return {row.rung.technique or row.rung.name: row for row in self.rows if row.rung.kind == kind}

    @property
    def contributions(self) -> tuple[Contribution, ...]:
        """What each technique changes, in the order of the ladder."""
        alone, cumulative = self.of_kind("alone"), self.of_kind("cumulative")
        return tuple(
            Contribution(one.name, one.summary, _changes(alone[one.name]), _changes(cumulative[one.name]))
            for one in self.techniques
        )

    def as_json(self) -> dict[str, object]:
        """Return everything by name; the same from run to run."""
        return {
            "model": self.model,
            "target": self.target,
            "images": self.images,
            "top1_original": self.top1_original,
            "rows": [row.as_json() for row in self.rows],
            "contributions": [
                {
                    "technique": one.technique,
                    "summary": one.summary,
                    "alone": dict(zip(("kl", "sqnr_db"), one.alone, strict=True)),
                    "cumulative": dict(zip(("kl", "sqnr_db"), one.cumulative, strict=True)),
                }
                for one in self.contributions
            ],
        }


def ablate(
    original: Module,
    target: Target,
    yardstick: Yardstick,
    calibration: CalibrationSamples | None = None,
    *,
    only: Collection[str] | None = None,
    progress: Progress | None = None,
) -> Ablation:
    """Return what each technique contributes: the ladder of :func:`mrqc.report.ladder.ladder_for`, measured.

    Args:
        original: A quantized ``nn`` module.
        target: Has a scheme of its own.
        yardstick: Of the original.
        calibration: Samples for the rungs on data, which are left out if None.
        only: Names of rungs: no others are measured than these and those that they are measured against. All if None.
        progress: Called with what is being done, how much of it is done, and how much there is.

    Raises:
        UsageError: The target is a runtime, which takes models in the scheme that they have, or no rung has a name.
        TargetError: The target cannot have the model at all.
        InputError: The model is not quantized throughout, or a sample cannot be read.
    """
    if target.is_runtime:
        raise UsageError(f"target {target.name} keeps the scheme of the model; there is nothing to ablate")
    rungs = ladder_for(target, calibration is not None)
    if only is not None:
        rungs = _chosen(rungs, only)
    alone = {rung.technique for rung in rungs if rung.kind == "alone"}
    complete = alone & {rung.technique for rung in rungs if rung.kind == "cumulative"}
    techniques = tuple(one for one in techniques_for(target, calibration is not None) if one.name in complete)
    rows: dict[str, AblationRow] = {}
    measured: dict[tuple[str, str], AblationRow] = {}
    for number, rung in enumerate(rungs):
        key = rung.pipeline, rung.samples
        if key not in measured:
            label = f"{number + 1}/{len(rungs)} {rung.name}"
            samples = calibration if rung.samples == "calib" else None
            measured[key] = _measured(_Attempt(original, target, samples, label, progress), rung, yardstick)
        found = measured[key]
        row = AblationRow(rung, found.engine, found.reason, found.fidelity)
        rows[rung.name] = row if rung.before is None else _compared(row, rows[rung.before])
    return Ablation(original.name, target.name, yardstick.images, yardstick.top1, techniques, tuple(rows.values()))


def _chosen(rungs: Sequence[Rung], only: Collection[str]) -> tuple[Rung, ...]:
    """Return the rungs of these names and those before them, in order."""
    by_name = {rung.name: rung for rung in rungs}
    unknown = sorted(set(only) - by_name.keys())
    if unknown:
        raise UsageError(f"the ladder has no rung {', '.join(unknown)} (it has {', '.join(by_name)})")
    wanted: set[str] = set()
    for name in only:
        before: str | None = name
        while before is not None and before not in wanted:
            wanted.add(before)
            before = by_name[before].before
    return tuple(rung for rung in rungs if rung.name in wanted)


@dataclass(frozen=True)
class _Attempt:
    """A module on its way to a target."""

    original: Module
    target: Target
    samples: CalibrationSamples | None
    label: str
    progress: Progress | None

    def run(self, module: Module, passes: Sequence[Pass]) -> Module:
        return run_pipeline(module, passes, Instruments(on_progress=self.report), self.samples)

    def report(self, description: str, done: int, total: int) -> None:
        if self.progress is not None:
            self.progress(f"{self.label}: {description}", done, total)


def _measured(attempt: _Attempt, rung: Rung, yardstick: Yardstick) -> AblationRow:
    attempt.report("re-quantizing", 0, 1)
    module, reason = _lowered(attempt, rung)
    engine: Engine = "simulator" if reason is None else "reference"
    fidelity = yardstick.measure(module, lambda done, total: attempt.report("measuring", done, total))
    return AblationRow(rung, engine, reason, fidelity)


def _lowered(attempt: _Attempt, rung: Rung) -> tuple[Module, str | None]:
    """Return the module in integers, or as far as it comes and why it comes no further."""
    passes = parse_pipeline(rung.pipeline, attempt.target)
    split = next(index for index, pass_ in enumerate(passes) if isinstance(pass_, LowerToInt))
    try:
        module = attempt.run(attempt.original, passes[:split])
    except TargetError as error:
        # Biases beyond their register: over the reals they have none. What else there is raises once more.
        real = next((index for index, pass_ in enumerate(passes) if isinstance(pass_, QuantizeBiases)), split)
        return attempt.run(attempt.original, passes[:real]), _reason(error)
    if rung.kind == "control":
        return module, "a control"
    try:
        return attempt.run(module, passes[split:]), None
    except TargetError as error:
        return module, _reason(error)


def _reason(error: TargetError) -> str:
    """Return the first finding of an error, without naming the target again."""
    return str(error.diagnostics[0] if error.diagnostics else error)


def _compared(row: AblationRow, before: AblationRow) -> AblationRow:
    new, old = row.fidelity, before.fidelity
    return AblationRow(
        row.rung,
        row.engine,
        row.reason,
        new,
        _difference(new.kl, old.kl),
        _difference(new.logits_sqnr_db, old.logits_sqnr_db),
    )


def _changes(row: AblationRow) -> tuple[float | None, float | None]:
    return row.kl_change, row.sqnr_change_db


def _difference(new: float | None, old: float | None) -> float | None:
    return None if new is None or old is None else new - old
