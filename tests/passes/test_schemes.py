"""Modules in the scheme of each target: lowered, checked, and compared with the reals and with C."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from networks import Network

from mrqc.backends.reference import ReferenceProgram
from mrqc.backends.simulator import Program
from mrqc.ir import DType, Element, Module, TensorType
from mrqc.ops import nn
from mrqc.passes import Canonicalize, Legalize, LowerToInt
from mrqc.targets import BUILTIN_TARGETS, Target, load_target
from mrqc.testing import TARGET_LAYERS, assert_c_matches_simulator, random_inputs, side_by_side, target_modules

HARDWARE = {name: target for name in BUILTIN_TARGETS if not (target := load_target(name)).is_runtime}


def lowered(module: Module, target: Target) -> Module:
    """The int module, which the target must accept."""
    return Legalize(target)(Canonicalize()(LowerToInt(target)(module)))


def tolerance(module: Module, target: Target) -> int:
    """One code for one rounding; the DPU's reciprocals are up to 1.6 % off."""
    ops = {type(statement.op) for statement in module.graph.statements}
    has_reciprocals = target.ops["int.average_pool2d"].reciprocals is not None
    return 4 if has_reciprocals and ops & {nn.Mean, nn.AveragePool2D} else 1


@pytest.mark.parametrize("name", HARDWARE)
@given(data=st.data())
@settings(max_examples=10)
def test_one_layer_is_a_code_from_the_reals_at_most(name: str, data: st.DataObject) -> None:
    target = HARDWARE[name]
    for op in dict.fromkeys(TARGET_LAYERS):
        module = data.draw(target_modules(target, layers=(op,), max_layers=1, softmax=False))
        inputs = random_inputs(module, 4)
        before = ReferenceProgram(module).run(inputs)["output"].astype(np.int64)
        after = Program(lowered(module, target)).run(inputs)["output"].astype(np.int64)
        assert np.abs(before - after).max() <= tolerance(module, target), op.mnemonic


@pytest.mark.parametrize("name", HARDWARE)
@given(data=st.data())
@settings(max_examples=2, phases=[Phase.generate])
def test_c_and_simulator_agree_on_every_bit(name: str, data: st.DataObject) -> None:
    target = HARDWARE[name]
    module = side_by_side([lowered(data.draw(target_modules(target)), target) for _ in range(6)])
    assert_c_matches_simulator(module, random_inputs(module, 3))


@pytest.mark.parametrize("name", HARDWARE)
def test_a_softmax_results_in_the_storage_of_what_is_never_negative(name: str) -> None:
    target = HARDWARE[name]
    activation = target.activation
    zero_point = 0 if activation.symmetric else activation.minimum // 2
    source = Element.per_tensor(activation.storage, 16.0 / (1 << 8 * activation.storage.bytes), zero_point)
    net = Network()
    x = net.builder.add_input("x", TensorType((16, 10), source))
    element = activation.probabilities
    module = net.finish(net.emit(nn.Softmax(x, element=element), "softmax"))
    inputs = random_inputs(module, 8)
    before = ReferenceProgram(module).run(inputs)["y"].astype(np.int64)
    after = Program(lowered(module, target)).run(inputs)["y"].astype(np.int64)
    # 16-bit exponentials and reciprocals are read between 513 entries of tables.
    assert np.abs(before - after).max() <= (16 if element.dtype is DType.I16 else 1)
