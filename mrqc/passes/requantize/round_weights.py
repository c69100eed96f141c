"""``round-weights``: constants in the codes of the target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mrqc.ir.data import Data
from mrqc.ir.graph import Module
from mrqc.ir.rewrite import without_dead_statements
from mrqc.ir.types import Element
from mrqc.ops import nn
from mrqc.passes.definition import Exactness, Pass
from mrqc.passes.requantize.form import Edits, Real, edited, layers_of, real_constant
from mrqc.passes.requantize.structure import rounded_constants
from mrqc.targets import Target


@dataclass(frozen=True)
class RoundWeights(Pass):
    """Replace each rounding of a constant by the codes, each the nearest to its real value.

    Attributes:
        target: Whose codes there are.
    """

    name: ClassVar[str] = "round-weights"
    summary: ClassVar[str] = "turn weights and other constants into codes of the target"
    exactness: ClassVar[Exactness] = "lossy"
    target: Target

    def __call__(self, module: Module) -> Module:
        """Return the module with constants in the target's elements."""
        weights = {layer.op.weight.name for layer in layers_of(module)}
        constants: dict[str, nn.Constant] = {}
        values = {value.name: value for value in module.graph.values()}
        for name, source in rounded_constants(module).items():
            element = values[name].type.element
            if name in weights:
                limits = self.target.weight.minimum, self.target.weight.maximum
            else:
                limits = self.target.activation.code_range(element.dtype)
            constants[name] = rounded(real_constant(source), element, limits)
        return without_dead_statements(edited(module, Edits(constants=constants)))


def rounded(real: Real, element: Element, limits: tuple[int, int]) -> nn.Constant:
    """Return the constant of an element that is nearest to real values, saturating at ``limits``."""
    assert element.quantization is not None
    codes = element.quantization.quantize(np.asarray(real, np.float64), *limits)
    return nn.Constant(Data.of(codes, element.dtype), element)
