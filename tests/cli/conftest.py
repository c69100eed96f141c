from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from command_line import CommandLine

from mrqc.compiler import print_module
from mrqc.ir import FLOAT, DType, Element, GraphBuilder, Module, Output, TensorType
from mrqc.ops import int as int_ops
from mrqc.ops import nn

CODES = Element.per_tensor(DType.U8, 0.5, 4)


@pytest.fixture
def mrqc(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(monkeypatch, capsys)


@pytest.fixture
def clip_model(tmp_path: Path) -> Path:
    """An nn module over codes: u8 [1, 6], clipped at 1 and 20."""
    builder = GraphBuilder()
    x = builder.add_input("x", TensorType((1, 6), CODES))
    y = builder.emit(nn.Clip(x, (1.0, 20.0), CODES))
    return write_model(tmp_path / "clip.mrq", Module("clip", builder.finish([Output("y", y)])))


@pytest.fixture
def softmax_model(tmp_path: Path) -> Path:
    """A float model without a scale in it."""
    builder = GraphBuilder()
    y = builder.emit(nn.Softmax(builder.add_input("x", TensorType((1, 6), FLOAT))))
    return write_model(tmp_path / "softmax.mrq", Module("softmax", builder.finish([Output("y", y)])))


@pytest.fixture
def integer_model(tmp_path: Path) -> Path:
    """A lowered module: i8 [1, 6] clamped to 0..50."""
    builder = GraphBuilder()
    x = builder.add_input("x", TensorType((1, 6), Element.per_tensor(DType.I8, 0.5)))
    y = builder.emit(int_ops.Clamp(x, 0, 50))
    return write_model(tmp_path / "clamp.mrq", Module("clamp", builder.finish([Output("y", y)])))


@pytest.fixture
def labelled_data(tmp_path: Path) -> Path:
    """Codes for the clip model, with labels."""
    codes = np.random.default_rng(3).integers(0, 256, (10, 6)).astype(np.uint8)
    np.savez(tmp_path / "labelled.npz", x=codes, y=codes.argmax(axis=1))
    return tmp_path / "labelled.npz"


def write_model(path: Path, module: Module) -> Path:
    path.write_text(print_module(module), encoding="utf-8")
    return path
