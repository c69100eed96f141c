"""What each pass of a pipeline costs: the module behind it, measured against the original."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from mrqc.calibration import CalibrationSamples, Progress
from mrqc.ir.graph import Module
from mrqc.passes import Exactness, Instruments, Pass, PassRecord, run_pipeline
from mrqc.report.ablation_table import format_number, without_empty_columns
from mrqc.report.fidelity import Fidelity, Yardstick

_HEADER = ("pass", "promises", "top-1", "agreement", "KL", "KL change", "logits dB", "dB change", "seconds")


@dataclass(frozen=True, slots=True)
class AttributionRow:
    """One pass, and the module behind it.

    Attributes:
        name: The pass with its options.
        exactness: What it promises.
        seconds: How long it took.
        changed: Whether it changed anything; if not, the figures are those of the pass in front of it.
        fidelity: How far the module behind it is from the original.
        kl_change: KL less that in front of the pass; negative is better.
        sqnr_change_db: SQNR of the logits less that in front of the pass, in decibels; None where one of them has no
            noise at all.
    """

    name: str
    exactness: Exactness
    seconds: float
    changed: bool
    fidelity: Fidelity
    kl_change: float | None
    sqnr_change_db: float | None

    def as_json(self) -> dict[str, object]:
        """Return the fields by name, those of the measurement among them."""
        own = {name: value for name, value in asdict(self).items() if name != "fidelity"}
        return {**own, **asdict(self.fidelity)}


@dataclass(frozen=True, slots=True)
class Attribution:
    """All passes of a pipeline.

    Attributes:
        model: The name of the module.
        images: How many samples were looked at.
        top1_original: Of the original, where there are labels.
        rows: In the order in which the passes ran.
    """

    model: str
    images: int
    top1_original: float | None
    rows: tuple[AttributionRow, ...]

    def as_json(self) -> dict[str, object]:
        """Return everything by name."""
        return {
            "model": self.model,
            "images": self.images,
            "top1_original": self.top1_original,
            "rows": [row.as_json() for row in self.rows],
        }


def attribute(
    module: Module,
    passes: Sequence[Pass],
    yardstick: Yardstick,
    samples: CalibrationSamples | None = None,
    progress: Progress | None = None,
) -> Attribution:
    """Return what each pass of a pipeline costs.

    A module in the integers is simulated; one on the way there runs over the reals, rounded once after each operation.

    Args:
        module: The original, which the yardstick has run.
        passes: What to run, in order.
        yardstick: Samples, and the original's answers to them.
        samples: For the passes that look at data; synthetic ones if None.
        progress: Called with what is being done, how much of it is done, and how much there is.

    Raises:
        TargetError: A pass found that the target cannot run the module.
        InputError: The module is not of the kind that a pass works on.
    """
    work = _Attribution(module, yardstick, progress or _silent)
    records: list[PassRecord] = []
    instruments = Instruments(on_pass=records.append, on_module=work.measure, on_progress=progress or _silent)
    run_pipeline(module, passes, instruments, samples)
    rows = [
        AttributionRow(record.name, pass_.exactness, record.seconds, changed, fidelity, *changes)
        for record, pass_, (changed, fidelity, changes) in zip(records, passes, work.found, strict=True)
    ]
    return Attribution(module.name, yardstick.images, yardstick.top1, tuple(rows))


def format_attribution(attribution: Attribution) -> str:
    """Return the passes that changed anything, one by one."""
    original = "" if attribution.top1_original is None else f", original top-1 {attribution.top1_original:.4f}"
    rows = [_cells(row) for row in attribution.rows if row.changed]
    head = f"{attribution.model}: {attribution.images} samples{original}\n"
    return head + without_empty_columns(rows, _HEADER)


class _Attribution:
    def __init__(self, module: Module, yardstick: Yardstick, progress: Progress) -> None:
        self._module = module
        self._yardstick = yardstick
        self._progress = progress
        self._last = yardstick.measure(module, self._advance("the original over the reals"))
        self.found: list[tuple[bool, Fidelity, tuple[float | None, float | None]]] = []

    def measure(self, pass_: Pass, module: Module) -> None:
        """Measure the module behind a pass."""
        if module == self._module:
            nothing = None if self._last.kl is None else 0.0
            self.found.append((False, self._last, (nothing, None if self._last.logits_sqnr_db is None else 0.0)))
            return
        before, found = self._last, self._yardstick.measure(module, self._advance(f"measuring {pass_.name}"))
        changes = _less(found.kl, before.kl), _less(found.logits_sqnr_db, before.logits_sqnr_db)
        self.found.append((True, found, changes))
        self._module, self._last = module, found

    def _advance(self, what: str) -> _Advance:
        return _Advance(self._progress, what)


@dataclass(frozen=True, slots=True)
class _Advance:
    progress: Progress
    what: str

    def __call__(self, done: int, total: int) -> None:
        self.progress(self.what, done, total)


def _silent(what: str, done: int, total: int) -> None:
    del what, done, total


def _less(new: float | None, old: float | None) -> float | None:
    return None if new is None or old is None else new - old


def _cells(row: AttributionRow) -> tuple[str, ...]:
    found = row.fidelity
    return (
        row.name,
        row.exactness,
        format_number(found.top1, ".4f"),
        format_number(found.agreement, ".4f"),
        format_number(found.kl, ".6f"),
        format_number(row.kl_change, "+.6f"),
        format_number(found.logits_sqnr_db, ".2f"),
        format_number(row.sqnr_change_db, "+.2f"),
        f"{row.seconds:.1f}",
    )
