"""Every registered case; importing a family's module registers its operators."""

import cases_activation
import cases_contraction
import cases_elementwise
import cases_layout
import cases_moves
import cases_pooling
import cases_quantize
import cases_reduction
from single_ops import REGISTRY, OperatorCases

FAMILIES = (
    cases_activation,
    cases_contraction,
    cases_elementwise,
    cases_layout,
    cases_moves,
    cases_pooling,
    cases_quantize,
    cases_reduction,
)

ALL_CASES: tuple[OperatorCases, ...] = tuple(sorted(REGISTRY, key=lambda cases: (cases.builtin, REGISTRY.index(cases))))

BUILTINS: tuple[str, ...] = tuple(sorted({cases.builtin for cases in ALL_CASES}))
"""Every operator that has cases."""
