"""How far several descendants of one model are from it, on the same samples; the original runs once for all."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrqc.calibration import DataSet, kl_divergences, signal_to_noise_db, top_indices
from mrqc.ir.graph import Module
from mrqc.report.engines import own_program
from mrqc.report.evaluation import TimedModel, check_labels, label_offset_for, samples_at_once
from mrqc.report.scores import ScoredModule, Scores


@dataclass(frozen=True, slots=True)
class Fidelity:
    """What was measured of one descendant; None stands for what could not be measured.

    Attributes:
        top1: Images whose label is the first answer, as a fraction.
        lost: How many images only the original has right.
        gained: How many images only the descendant has right.
        agreement: Images that both answer alike, as a fraction.
        kl: Mean KL divergence in nats of the softmax of the real-valued logits, original to descendant.
        sqnr_db: Signal-to-noise ratio of the output, in decibels; None also where there is no noise at all.
        logits_sqnr_db: The same of the input of the softmax that ends the model, each row less its mean, because a
            softmax does not see that; of the output where none does.
    """

    top1: float | None
    lost: int | None
    gained: int | None
    agreement: float | None
    kl: float | None
    sqnr_db: float | None
    logits_sqnr_db: float | None


class Yardstick:
    """A model's answers to the samples of a data set, which others are compared with.

    A model gives class scores if it ends in a softmax or if the data have labels. Of another (an autoencoder, say) only
    the signal-to-noise ratio means anything. The answers of all samples are held in memory.

    Attributes:
        images: How many samples there are.
        top1: Of the original, where there are labels.
    """

    def __init__(
        self,
        original: Module,
        data: DataSet,
        *,
        label_offset: int | None = None,
        limit: int | None = None,
        progress: Callable[[int, int], None] | None = None,
        remark: Callable[[str], None] | None = None,
    ) -> None:
        """Run the original.

        Args:
            original: Runs in the interpreter of its dialect; one input, one output with a row for each image.
            data: Samples for its input.
            label_offset: Added to every label, as for :func:`mrqc.report.evaluate`.
            limit: Look at no more than so many samples.
            progress: Called with the samples done and their total.
            remark: Called with what a person should know.

        Raises:
            InputError: The model has several inputs or outputs, or samples or labels do not fit it.
        """
        scored = ScoredModule.of(original)
        self._data = data
        self._original = original
        self.images = len(data) if limit is None else min(limit, len(data))
        self._scored = scored
        self._has_softmax = scored.logits is not scored.answer or scored.is_detector
        self._scores = self._run(scored, False, progress)
        classes = self._scores.answers.shape[1]
        self._labels: NDArray[np.int64] | None = None
        if data.labels is not None:
            offset = label_offset_for(data, classes, label_offset, remark)
            check_labels(data, classes, offset)
            self._labels = data.labels[: self.images] + offset
        self._is_classifier = self._labels is not None or self._has_softmax
        self._first: NDArray[np.int64] = top_indices(self._scores.answers, 1)[:, 0]
        self.top1 = None if self._labels is None else _share(self._first == self._labels)

    def measure(self, module: Module, progress: Callable[[int, int], None] | None = None) -> Fidelity:
        """Return how far a descendant is from the original.

        Args:
            module: An ``int`` module, which is simulated, or an ``nn`` module, which runs over the reals.
            progress: Called with the samples done and their total.

        Raises:
            InputError: A sample cannot be read.
        """
        found, expected = self._run(ScoredModule.of(module, self._scored), True, progress), self._scores
        top1 = lost = gained = agreement = kl = None
        if self._is_classifier:
            first: NDArray[np.int64] = top_indices(found.answers, 1)[:, 0]
            agreement = _share(first == self._first)
            kl = float(kl_divergences(expected.logits, found.logits).mean())
            if self._labels is not None:
                right, was_right = first == self._labels, self._first == self._labels
                top1 = _share(right)
                lost, gained = int(np.sum(was_right & ~right)), int(np.sum(right & ~was_right))
        return Fidelity(
            top1,
            lost,
            gained,
            agreement,
            kl,
            _finite(signal_to_noise_db(expected.output, found.output)),
            _finite(signal_to_noise_db(self._visible(expected.logits), self._visible(found.logits))),
        )

    def _visible(self, logits: NDArray[np.float64]) -> NDArray[np.float64]:
        means: NDArray[np.float64] = logits.mean(axis=1, keepdims=True)
        return logits - means if self._has_softmax else logits

    def _run(self, scored: ScoredModule, real: bool, progress: Callable[[int, int], None] | None) -> Scores:
        model = TimedModel(scored, own_program(scored.module))
        parts: list[Scores] = []
        done = 0
        for batch in self._data.batches(samples_at_once(self._original, self.images), self.images):
            samples = self._data.converter.real_values(batch.samples) if real else batch.samples
            parts.append(model.scores(samples))
            done += len(samples)
            if progress is not None:
                progress(done, self.images)
        return Scores(
            np.concatenate([part.answers for part in parts]),
            np.concatenate([part.logits for part in parts]),
            np.concatenate([part.output for part in parts]),
        )


def _share(flags: NDArray[np.bool_]) -> float:
    return np.count_nonzero(flags) / len(flags)


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None
