"""How good a lowered classifier is: accuracy, and agreement with the model that it came from."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mrqc.backends.c import CompiledKernel
from mrqc.backends.simulator import Program
from mrqc.calibration import Batch, DataSet, batch_size_for, kl_divergences, top_indices
from mrqc.errors import InputError
from mrqc.ir.graph import Module
from mrqc.report.engines import Runner, own_program
from mrqc.report.scores import ScoredModule, Scores

Engine = Literal["simulator", "c"]

BACKGROUND_CLASSES = 1001
"""Outputs of an ImageNet model whose class 0 is the background: class = label + 1."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What was measured: counts and fractions of all images; None stands for what could not be measured.

    Attributes:
        images: How many were looked at.
        top1: Images whose label is the lowered model's first answer.
        top1_original: The same for the original.
        top1_loss: ``top1_original - top1``.
        top5: Images whose label is among the first five answers; None for a model of five classes or fewer.
        top5_original: The same for the original.
        top5_loss: ``top5_original - top5``.
        agreement: Images that both models answer alike.
        kl: Mean KL divergence in nats of the softmax of the real-valued logits, original to lowered.
        lost: How many images only the original has right.
        gained: How many images only the lowered model has right.
        images_per_second: Of the lowered model, or of the original where it is alone; reading data apart.
    """

    images: int
    top1: float | None
    top1_original: float | None
    top1_loss: float | None
    top5: float | None
    top5_original: float | None
    top5_loss: float | None
    agreement: float | None
    kl: float | None
    lost: int | None
    gained: int | None
    images_per_second: float

    def as_json(self) -> dict[str, object]:
        """Return the fields by name."""
        return asdict(self)


def evaluate(
    original: Module,
    lowered: Module | None,
    data: DataSet,
    *,
    engine: Engine = "simulator",
    label_offset: int | None = None,
    limit: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    remark: Callable[[str], None] | None = None,
) -> Evaluation:
    """Run both models on the samples of ``data``, batch by batch, and compare their answers.

    The first answer is the class of the greatest value of the model's own output, of equals the lowest. The
    logits for the divergence are the input of the softmax that ends a model, or its output where none does.

    Args:
        original: Runs in the interpreter of its dialect.
        lowered: Runs in ``engine``; None measures the original alone.
        data: Samples for the original's input, read in bounded memory.
        engine: ``simulator``, or ``c``: the emitted C, compiled.
        label_offset: Added to every label; None means 1 for 1001 classes and labels up to 999, else 0.
        limit: Look at no more than so many samples.
        progress: Called with the samples done and their total.
        remark: Called with what a person should know.

    Raises:
        InputError: A model is no classifier of one input, or samples or labels do not fit it.
    """
    reference = ScoredModule.of(original)
    candidate = None if lowered is None else ScoredModule.of(lowered, reference)
    classes = reference.classes
    offset = label_offset_for(data, classes, label_offset, remark)
    check_labels(data, classes, offset)
    total = len(data) if limit is None else min(limit, len(data))
    tally = _Tally(classes)
    with ExitStack() as stack:
        teacher = TimedModel(reference, own_program(reference.module))
        student = None
        if candidate is not None:
            runner = (
                stack.enter_context(CompiledKernel(candidate.module)) if engine == "c" else Program(candidate.module)
            )
            student = TimedModel(candidate, runner)
        for batch in data.batches(samples_at_once(original, total), total):
            expected = teacher.scores(batch.samples)
            found = None
            if student is not None:
                found = student.scores(data.converter.real_values(batch.samples))
            tally.add(batch, offset, expected, found)
            if progress is not None:
                progress(tally.images, total)
    return tally.result((student or teacher).seconds)


def samples_at_once(module: Module, total: int) -> int:
    """Return how many samples a model is run on at a time: all of them if they are a stream."""
    return total if module.states else batch_size_for(module.data_inputs[0])


@dataclass
class TimedModel:
    """A model that counts the seconds it runs."""

    scored: ScoredModule
    runner: Runner
    seconds: float = 0.0

    def scores(self, samples: NDArray[Any]) -> Scores:
        """Return the scores of samples, whose number need not be a multiple of the model's batch."""
        (value,) = self.scored.module.data_inputs
        missing = -len(samples) % value.type.shape[0]
        if missing:
            samples = np.concatenate([samples, np.repeat(samples[-1:], missing, axis=0)])
        start = time.perf_counter()
        outputs = self.runner.run({value.name: samples})
        self.seconds += time.perf_counter() - start
        return self.scored.scores(outputs).first(len(samples) - missing)


@dataclass
class _Tally:
    """Sums over the batches seen so far."""

    classes: int
    images: int = 0
    sums: dict[str, float] = field(default_factory=lambda: dict[str, float]())

    def add(self, batch: Batch, offset: int, expected: Scores, found: Scores | None) -> None:
        """Count a batch."""
        self.images += len(batch.samples)
        original_top = top_indices(expected.answers, 5)
        labels = None if batch.labels is None else batch.labels[:, np.newaxis] + offset
        if labels is not None:
            self._count_hits("_original", original_top == labels)
        if found is None:
            return
        top = top_indices(found.answers, 5)
        self._count("agreement", top[:, 0] == original_top[:, 0])
        self._count("kl", kl_divergences(expected.logits, found.logits))
        if labels is not None:
            right, was_right = top[:, :1] == labels, original_top[:, :1] == labels
            self._count_hits("", top == labels)
            self._count("lost", was_right & ~right)
            self._count("gained", right & ~was_right)

    def result(self, seconds: float) -> Evaluation:
        """Return the means."""
        return Evaluation(
            images=self.images,
            top1=self._mean("top1"),
            top1_original=self._mean("top1_original"),
            top1_loss=self._loss("top1"),
            top5=self._mean("top5"),
            top5_original=self._mean("top5_original"),
            top5_loss=self._loss("top5"),
            agreement=self._mean("agreement"),
            kl=self._mean("kl"),
            lost=self._total("lost"),
            gained=self._total("gained"),
            images_per_second=self.images / max(seconds, 1e-9),
        )

    def _count_hits(self, suffix: str, is_label: NDArray[np.bool_]) -> None:
        self._count(f"top1{suffix}", is_label[:, 0])
        if self.classes > 5:
            self._count(f"top5{suffix}", np.any(is_label, axis=1))

    def _count(self, key: str, values: NDArray[Any]) -> None:
        self.sums[key] = self.sums.get(key, 0.0) + float(values.sum())

    def _total(self, key: str) -> int | None:
        return round(self.sums[key]) if key in self.sums else None

    def _mean(self, key: str) -> float | None:
        return self.sums[key] / self.images if key in self.sums else None

    def _loss(self, key: str) -> float | None:
        # From the counts: the difference of two rounded fractions would show digits that mean nothing.
        if key not in self.sums:
            return None
        return (self.sums[f"{key}_original"] - self.sums[key]) / self.images


def label_offset_for(
    data: DataSet, classes: int, given: int | None, remark: Callable[[str], None] | None = None
) -> int:
    """Return what is added to labels: ``given``, or what :func:`evaluate` takes in its place."""
    if given is not None or data.labels is None:
        return given or 0
    if classes != BACKGROUND_CLASSES or data.labels.max() > BACKGROUND_CLASSES - 2:
        return 0
    if remark is not None:
        remark(
            f"{BACKGROUND_CLASSES} classes and labels up to {data.labels.max()}: class 0 is taken for the "
            "background, class = label + 1 (--label-offset 0 if not)"
        )
    return 1


def check_labels(data: DataSet, classes: int, offset: int) -> None:
    """Make sure that every label is a class.

    Raises:
        InputError: Some are not; they are counted.
    """
    if data.labels is None:
        return
    shifted = data.labels + offset
    wrong = np.flatnonzero((shifted < 0) | (shifted >= classes))
    if len(wrong):
        raise InputError(
            f"{data.path}: {len(wrong)} of {len(shifted)} labels are no class of a model with {classes}; "
            f"the first is {data.labels[wrong[0]]}, of sample {wrong[0]} (label offset: {offset})"
        )
