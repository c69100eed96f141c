"""What is added to a matrix product of floats is its bias in a TFLite file, unless that came from one."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from litert import LiteRT

import mrqc
from mrqc.ir import Module

TEXT = """
module @net {FACT} {
  inputs (%x : tensor<1x3xf32>)
  %w = nn.constant() {value = dense<[1.0, 2.0, 3.0, -1.0, 0.5, 0.25]>} : tensor<2x3xf32>
  %p = nn.fully_connected(%x, %w) : tensor<1x2xf32>
  %b = nn.constant() {value = dense<[0.5, -4.0]>} : tensor<2xf32>
  %s = nn.add(%p, %b) {clamp = [0.0, inf]} : tensor<1x2xf32>
  %q = nn.fully_connected(%s, %v) : tensor<1x2xf32>
  %t = nn.add(%q, %c) : tensor<1x2xf32>
  return (%t as "y")
}
"""
SECOND = "  %v = nn.constant() {value = dense<[1.0, 2.0, -1.0, 0.5]>} : tensor<2x2xf32>\n"


def statements(content: bytes, folder: Path) -> Counter[str]:
    """The computed statements of a written file, and how many layers have a bias."""
    path = folder / "written.tflite"
    path.write_bytes(content)
    ops = [statement.op for statement in mrqc.load(path).graph.statements]
    found = Counter(op.mnemonic for op in ops if op.mnemonic != "nn.constant")
    found["biases"] = sum(getattr(op, "bias", None) is not None for op in ops)
    return found


def module(constant: str, fact: str = "") -> Module:
    added = SECOND + f"  %c = nn.constant() {{value = dense<{constant}\n"
    return mrqc.parse(TEXT.replace("{FACT}", fact).replace("  %q =", added + "  %q ="))


@pytest.mark.parametrize(
    ("constant", "fact", "expected"),
    [
        ("[1.0, 2.0]>} : tensor<2xf32>", "", {"nn.fully_connected": 2, "biases": 2}),
        ("[1.0]>} : tensor<1x1xf32>", "", {"nn.fully_connected": 2, "nn.add": 1, "biases": 1}),
        ("[1.0, 2.0]>} : tensor<2xf32>", '{format = "tflite"}', {"nn.fully_connected": 2, "nn.add": 2, "biases": 0}),
    ],
)
def test_a_number_for_each_output_is_a_bias(constant: str, fact: str, expected: dict[str, int], tmp_path: Path) -> None:
    source = module(constant, fact)
    content = mrqc.emit_tflite(source)
    assert statements(content, tmp_path) == Counter(expected)
    x = np.array([[1.0, -2.0, 0.5]], np.float32)
    (found,) = LiteRT(content).run({"x": x}).values()
    np.testing.assert_allclose(found, mrqc.reference(source).run({"x": x})["y"], rtol=1e-6)


@pytest.mark.assets
def test_an_autoencoder_has_no_additions(assets: Path, tmp_path: Path) -> None:
    found = statements(mrqc.emit_tflite(mrqc.load(assets / "models" / "ad_autoencoder_f32.onnx")), tmp_path)
    assert found == Counter({"nn.fully_connected": 10, "nn.clip": 9, "biases": 10})
