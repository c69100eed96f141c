"""``keep-weights`` and ``fold-rounding-error{fold=false}``: what ``mrqc ablate`` compares with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mrqc.backends.reference import ReferenceProgram
from mrqc.compiler import load
from mrqc.ir import Module
from mrqc.ops import nn
from mrqc.passes import parse_pipeline, run_pipeline
from mrqc.targets import load_target

START = "strip-edges,canonicalize,symmetrize{centre=false pads=false},assign-scales{method=min-max}"


@pytest.fixture(scope="module")
def original(digits: Path) -> Module:
    return load(digits / "digits.onnx")


def after(module: Module, passes: str) -> Module:
    return run_pipeline(module, parse_pipeline(f"{START},{passes}", load_target("pow2-npu")))


def layers(module: Module) -> dict[str, nn.Conv2D | nn.FullyConnected]:
    return {s.result.name: s.op for s in module.graph.statements if isinstance(s.op, nn.Conv2D | nn.FullyConnected)}


def codes(module: Module, operand: object) -> np.ndarray:
    op = next(s.op for s in module.graph.statements if s.result == operand)
    assert isinstance(op, nn.Constant)
    return op.value.array


def test_shifts_in_place_of_multipliers_change_no_code(original: Module) -> None:
    free = after(original, "round-weights,quantize-biases")
    shifted = after(original, "fold-rounding-error{fold=false},round-weights,quantize-biases")
    moved = 0
    for name, layer in layers(shifted).items():
        other = layers(free)[name]
        assert np.array_equal(codes(shifted, layer.weight), codes(free, other.weight))
        # The product of two scales in single precision may move a tie.
        assert layer.bias is not None
        assert other.bias is not None
        assert np.abs(codes(shifted, layer.bias).astype(int) - codes(free, other.bias)).max() <= 1
        scales = [value.type.quantization for value in (layer.input, layer.weight)]
        assert scales[0] is not None
        assert scales[1] is not None
        assert layer.element.quantization is not None
        octaves = np.log2(scales[0].scale * scales[1].scale / layer.element.quantization.scale)
        assert octaves == pytest.approx(round(octaves), abs=1e-9)
        before = other.weight.type.quantization
        assert before is not None
        assert 2**-0.51 < scales[1].scale / before.scale < 2**0.51
        moved += scales[1].scale != before.scale
    assert moved


def test_folding_rounds_the_weights_anew(original: Module) -> None:
    kept = after(original, "fold-rounding-error{fold=false},round-weights,quantize-biases")
    folded = after(original, "fold-rounding-error,round-weights,quantize-biases")
    for name, layer in layers(folded).items():
        assert layer.weight.type.element == layers(kept)[name].weight.type.element
    assert any(
        not np.array_equal(codes(folded, layer.weight), codes(kept, layers(kept)[name].weight))
        for name, layer in layers(folded).items()
    )


def test_nothing_is_lost_where_multipliers_are_free(original: Module) -> None:
    target = load_target("sym-npu")
    folded, plain = (
        run_pipeline(original, parse_pipeline(f"{START},{passes}", target))
        for passes in ("fold-rounding-error{fold=false},round-weights", "round-weights")
    )
    assert folded == plain


def test_weights_stay_as_the_file_has_them(original: Module) -> None:
    module = after(original, "keep-weights,round-weights")
    for name, layer in layers(module).items():
        source = layers(original).get(name)
        if source is None:
            continue
        assert layer.weight.type.element == source.weight.type.element
        assert np.array_equal(codes(module, layer.weight), codes(original, source.weight))
    ReferenceProgram(module)
