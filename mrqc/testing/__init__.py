"""Public, with the extra ``testing``: hypothesis strategies for modules, and assertions about them."""

from mrqc.ops import ALL_OPS
from mrqc.testing import (
    activation,
    contraction,
    elementwise,
    float32,
    layout,
    moves,
    normalization,
    pooling,
    reduction,
    rescale,
)
from mrqc.testing.arrays import code_arrays
from mrqc.testing.assertions import (
    assert_c_matches_simulator,
    assert_pass_exact,
    assert_round_trips,
    assert_same_arrays,
    assert_well_formed,
    run_module,
)
from mrqc.testing.draft import OP_STRATEGIES, Limits, OpStrategy, Scheme
from mrqc.testing.inputs import inputs_for, random_inputs
from mrqc.testing.merging import side_by_side
from mrqc.testing.modules import INT_LAYERS, NN_LAYERS, int_modules, nn_modules, op_modules, schemes
from mrqc.testing.qdq import as_qdq, qdq_modules
from mrqc.testing.requantize import requantizations
from mrqc.testing.states import stateful_modules, with_memory
from mrqc.testing.target_modules import TARGET_LAYERS, target_modules
from mrqc.testing.types import dtypes, elements, quantizations, scales, tensor_types

FAMILIES = (activation, contraction, elementwise, float32, layout, moves, normalization, pooling, reduction, rescale)
"""The files whose import fills the table."""

OP_STRATEGIES.seal(ALL_OPS)

__all__ = [
    "INT_LAYERS",
    "NN_LAYERS",
    "OP_STRATEGIES",
    "TARGET_LAYERS",
    "Limits",
    "OpStrategy",
    "Scheme",
    "as_qdq",
    "assert_c_matches_simulator",
    "assert_pass_exact",
    "assert_round_trips",
    "assert_same_arrays",
    "assert_well_formed",
    "code_arrays",
    "dtypes",
    "elements",
    "inputs_for",
    "int_modules",
    "nn_modules",
    "op_modules",
    "qdq_modules",
    "quantizations",
    "random_inputs",
    "requantizations",
    "run_module",
    "scales",
    "schemes",
    "side_by_side",
    "stateful_modules",
    "target_modules",
    "tensor_types",
    "with_memory",
]
