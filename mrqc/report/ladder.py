"""The pipelines that an ablation compares: from naive re-quantization upwards, technique by technique."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from mrqc.numerics import Rounding
from mrqc.passes import RECIPES
from mrqc.targets import Target

Kind = Literal["control", "naive", "alone", "cumulative", "recipe"]
"""``control``: no target runs it, it shows what a part of the scheme costs; ``naive``: scales from the extremes;
``alone``: naive and one technique; ``cumulative``: all up to that one; ``recipe``: what ``mrqc lower`` does."""

Samples = Literal["none", "synthetic", "calib"]
"""What a pipeline sees of inputs."""

CORRECT_WEIGHTS = "correct-weights"
FOLD = "fold-rounding-error"
JOINT = "joint-scales"
SEEN = "scales-on-data"
MERGE = "merge-channels"
CLIP = "clip-weights"
CORRECT_BIASES = "correct-biases"
CORRECT_BIASES_ON_DATA = "correct-biases-on-data"
ABSORB = "absorb-zero-points"
PADS = "explicit-pads"
BALANCE = "balance-rounding"
REPEAT = "repeat-rounding"
EQUALIZE = "equalize"
RESCALE = "rescale-outliers"
CLOSED_FORM = "closed-form-rounding"
ADAPTIVE = "adaptive-rounding"
BLOCKS = "block-reconstruction"

_ROUNDINGS = {CLOSED_FORM: "closed-form", ADAPTIVE: "adaptive", BLOCKS: "block"}
"""What ``round-weights`` is told for each technique that is its method."""


@dataclass(frozen=True, slots=True)
class Technique:
    """One thing that can be done better than naively.

    Attributes:
        name: As rows of a table call it.
        summary: What it does, for a person.
        needs: Techniques without which it means nothing; they are on wherever it is.
        replaces: Techniques that are off where it is on.
    """

    name: str
    summary: str
    needs: tuple[str, ...] = ()
    replaces: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rung:
    """One pipeline of an ablation.

    Attributes:
        name: Unique in a ladder.
        kind: What it is there for.
        technique: The technique that is its point, None for controls, naive ones and recipes.
        pipeline: Pass by pass.
        samples: What its passes see.
        before: The name of the rung that it is measured against, None for those that are not. Where a technique takes
            the place of another one, it is the rung before that.
    """

    name: str
    kind: Kind
    technique: str | None
    pipeline: str
    samples: Samples = "none"
    before: str | None = None


FINISH = "quantize-biases" + RECIPES["fast"].partition("quantize-biases")[2]
"""What every recipe ends with: nothing in it chooses anything, and what a target does not need changes nothing."""
FRONT = "fold-batch-normalization,strip-edges,canonicalize"
BACK = "canonicalize,lower-to-int,canonicalize,eliminate-common-subexpressions,eliminate-dead-code,legalize"


def techniques_for(target: Target, has_data: bool) -> tuple[Technique, ...]:
    """Return the techniques that change anything on a target, in the order in which they add up.

    Args:
        target: Where a module shall run.
        has_data: Whether there are samples for calibration.
    """
    shifts = target.requantize.only_shifts
    found = [Technique(CORRECT_WEIGHTS, "keep the grid that the file's weights are on")]
    if shifts:
        found += [
            Technique(FOLD, "fold the rounding of multipliers into the scales of weights"),
            Technique(JOINT, "choose all scales together", (FOLD,)),
        ]
    if not target.weight.is_per_channel and target.weight.symmetric:
        found.append(
            Technique(MERGE, "choose the one scale of weights that have several by error", (FOLD,) if shifts else ())
        )
    # On a target that only shifts, a scale chosen by its error has a multiplier that is a power of two.
    found.append(
        Technique(CLIP, "choose the scales of weights by error, saturating outliers", (FOLD,) if shifts else ())
    )
    found.append(Technique(CORRECT_BIASES, "correct biases on synthetic inputs"))
    if has_data:
        found.append(Technique(CORRECT_BIASES_ON_DATA, "correct biases on data", replaces=(CORRECT_BIASES,)))
        # Behind the biases on synthetic inputs, which would see data too: a pipeline has one kind of samples.
        found.append(
            Technique(SEEN, "choose scales by the values that activations take", (FOLD, JOINT) if shifts else ())
        )
    if target.activation.symmetric:
        found.append(Technique(ABSORB, "let biases absorb the zero points of activations"))
        if "int.pad" in target.ops:
            found.append(
                Technique(PADS, "pad in front of convolutions, whose input then keeps its zero point", (ABSORB,))
            )
    if shifts and target.requantize.rounding is Rounding.HALF_UP:
        # Only an addition that shifts has ties to speak of.
        summary = "take from biases what rounding half up adds to sums on average"
        found.append(Technique(BALANCE, summary, (FOLD, JOINT)))
    codes = tuple(one.name for one in found if one.name in (ABSORB, PADS))
    return (*found, *(_techniques_on_data(target, codes) if has_data else ()))


def _techniques_on_data(target: Target, codes: tuple[str, ...]) -> Iterator[Technique]:
    """Yield the techniques that need data; ``codes`` are those without which a tensor has half of its codes."""
    if target.requantize.only_shifts and target.weight.symmetric:
        # Where codes are too few nothing can be repeated.
        summary = "keep results near the inputs on the original's grid where that repeats its rounding"
        yield Technique(REPEAT, summary, (FOLD, JOINT, SEEN, *codes))
    if not target.weight.is_per_channel:
        yield Technique(EQUALIZE, "scale channels so that weights of one scale lose less, ranges seen on data")
        if target.weight.symmetric:
            summary = "scale channels whose weights would be cut off until these fit"
            yield Technique(RESCALE, summary, (CORRECT_WEIGHTS,))
    yield Technique(CLOSED_FORM, "round weights that are off their grid by what a layer results in, on data")
    yield Technique(ADAPTIVE, "learn which way to round them from what leaves the clamp", replaces=(CLOSED_FORM,))
    yield Technique(BLOCKS, "learn it for the layers of a block together", replaces=(CLOSED_FORM, ADAPTIVE))


def ladder_for(target: Target, has_data: bool) -> tuple[Rung, ...]:
    """Return the rungs for a target: controls, naive, each technique alone, all of them step by step, the recipes.

    Args:
        target: Where a module shall run; one with a scheme of its own, no runtime.
        has_data: Whether there are samples for calibration.
    """
    techniques = techniques_for(target, has_data)
    naive = Rung("naive", "naive", None, _Composition(target).pipeline())
    rungs = [*_controls(target), naive]
    for technique in techniques:
        on = _Composition(target, frozenset({technique.name, *technique.needs}))
        rungs.append(Rung(f"naive + {technique.name}", "alone", technique.name, on.pipeline(), on.samples, naive.name))
    names: frozenset[str] = frozenset()
    before = naive.name
    for technique in techniques:
        replaced = next(
            (rung for rung in rungs if rung.kind == "cumulative" and rung.technique in technique.replaces), None
        )
        before = before if replaced is None or replaced.before is None else replaced.before
        names = (names | {technique.name}) - set(technique.replaces)
        on = _Composition(target, names)
        rungs.append(Rung(f"… + {technique.name}", "cumulative", technique.name, on.pipeline(), on.samples, before))
        before = rungs[-1].name
    return (*rungs, *_recipes(has_data))


def _controls(target: Target) -> Iterator[Rung]:
    naive = _Composition(target)
    if target.requantize.only_shifts:
        yield Rung("free multipliers", "control", None, naive.pipeline(free=True))
    yield Rung("original weights", "control", None, naive.pipeline(weights=False))
    if target.requantize.only_shifts:
        joint = _Composition(target, frozenset({FOLD, JOINT}))
        yield Rung("original weights, joint scales", "control", None, joint.pipeline(weights=False))


def _recipes(has_data: bool) -> Iterator[Rung]:
    seen: set[tuple[str, bool]] = set()
    for name, passes in RECIPES.items():
        on_data = has_data and name != "fast"
        if (passes, on_data) not in seen:
            seen.add((passes, on_data))
            samples: Samples = "calib" if on_data else "synthetic"
            yield Rung(f"recipe {name}", "recipe", None, f"{FRONT},{passes},{BACK}", samples)


@dataclass(frozen=True)
class _Composition:
    """Which techniques are on."""

    target: Target
    on: frozenset[str] = field(default_factory=frozenset[str])

    @property
    def samples(self) -> Samples:
        if not self.on.isdisjoint((SEEN, CORRECT_BIASES_ON_DATA, EQUALIZE, RESCALE, *_ROUNDINGS)):
            return "calib"
        return "synthetic" if CORRECT_BIASES in self.on else "none"

    def pipeline(self, *, weights: bool = True, free: bool = False) -> str:
        """Return the pipeline.

        Args:
            weights: Whether weights are re-quantized.
            free: Whether multipliers stay what they are on a target that only shifts.
        """
        start = [FRONT, self._symmetrize, *(["equalize"] if EQUALIZE in self.on else [])]
        passes = [*start, self._assign_scales]
        passes += self._weights(free) if weights else ["keep-weights", "round-weights"]
        if not self.on.isdisjoint((CORRECT_BIASES, CORRECT_BIASES_ON_DATA)):
            passes.append("correct-biases{synthetic=true}" if self.samples == "synthetic" else "correct-biases")
        # Only codes have a scale that biases could be rounded to.
        if weights:
            passes += [*(["balance-rounding"] if BALANCE in self.on else []), FINISH]
        return ",".join([*passes, BACK])

    @property
    def _symmetrize(self) -> str:
        if not self.target.activation.symmetric or PADS in self.on:
            return "symmetrize"
        return "symmetrize{pads=false}" if ABSORB in self.on else "symmetrize{centre=false pads=false}"

    @property
    def _assign_scales(self) -> str:
        if SEEN in self.on:
            chooses = self.target.requantize.only_shifts and REPEAT not in self.on
            return "assign-scales{repeat=false}" if chooses else "assign-scales"
        return f"assign-scales{{method={'joint samples=false' if JOINT in self.on else 'min-max'}}}"

    def _weights(self, free: bool) -> Iterator[str]:
        if CORRECT_WEIGHTS in self.on:
            yield "correct-weights"
        if MERGE in self.on:
            yield "merge-channels"
        if self.target.requantize.only_shifts and not free:
            yield "fold-rounding-error" if FOLD in self.on else "fold-rounding-error{fold=false}"
        if CLIP in self.on:
            yield "clip-weights"
        if RESCALE in self.on:
            yield "rescale-outliers"
        method = next((method for technique, method in _ROUNDINGS.items() if technique in self.on), None)
        yield "round-weights" if method is None else f"round-weights{{method={method}}}"
