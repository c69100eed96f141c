"""Moving a quantized module to the scheme of a target."""

from mrqc.passes.requantize.absorb_zero_points import AbsorbZeroPoints
from mrqc.passes.requantize.align_scales import AlignScales
from mrqc.passes.requantize.assign_scales import AssignScales
from mrqc.passes.requantize.balance_rounding import BalanceRounding
from mrqc.passes.requantize.correct_biases import CorrectBiases
from mrqc.passes.requantize.equalize import Equalize
from mrqc.passes.requantize.keep_weights import KeepWeights
from mrqc.passes.requantize.quantize_biases import QuantizeBiases
from mrqc.passes.requantize.requantize import RECIPES, STEPS, Recipe, Requantize
from mrqc.passes.requantize.rescale_outliers import RescaleOutliers
from mrqc.passes.requantize.round_weights import RoundWeights
from mrqc.passes.requantize.scale_weights import ClipWeights, CorrectWeights, FoldRoundingError, MergeChannels
from mrqc.passes.requantize.symmetrize import Symmetrize

__all__ = [
    "RECIPES",
    "STEPS",
    "AbsorbZeroPoints",
    "AlignScales",
    "AssignScales",
    "BalanceRounding",
    "ClipWeights",
    "CorrectBiases",
    "CorrectWeights",
    "Equalize",
    "FoldRoundingError",
    "KeepWeights",
    "MergeChannels",
    "QuantizeBiases",
    "Recipe",
    "Requantize",
    "RescaleOutliers",
    "RoundWeights",
    "Symmetrize",
]
