"""Files that are no TFLite models, or were once: never a traceback, never a hang."""

from __future__ import annotations

import contextlib
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import pytest
import tflite
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tflite_files import RELU6, SAME, Scales, TfliteFile, options
from variable_files import running_sum

from mrqc.errors import InputError
from mrqc.frontends.tflite import import_tflite
from mrqc.ir import verify

LONGEST_SECONDS = 5.0


def small_model() -> TfliteFile:
    """Return a model with an operator of each family."""
    file = TfliteFile()
    random = np.random.default_rng(1)
    scales = Scales.one(0.05, 3)
    image = file.input("i8", (1, 4, 4, 2), scales, "x")
    file.graph.tensors[image].shapeSignature = [-1, 4, 4, 2]
    weight = file.constant(random.integers(-9, 9, (3, 2, 2, 2), np.int8), Scales.along(0, (0.1, 0.2, 0.3)))
    bias = file.constant(np.int32([5, -5, 0]), Scales.along(0, (0.005, 0.01, 0.015)))
    features = file.tensor("i8", (1, 2, 2, 3), scales, "conv;conv/bias")
    fields = options("Conv2DOptions", padding=SAME, stride_h=2, stride_w=2, fused_activation_function=RELU6)
    file.operator("CONV_2D", [image, weight, bias], [features], fields, version=3)
    pooled = file.tensor("i8", (1, 2, 1, 3), scales)
    fields = options("Pool2DOptions", padding=1, stride_h=1, stride_w=1, filter_height=1, filter_width=2)
    file.operator("MAX_POOL_2D", [features], [pooled], fields)
    flat = file.tensor("i8", (1, 6), scales)
    file.operator("RESHAPE", [pooled, file.integers([-1, 6])], [flat], options("ReshapeOptions", new_shape=[1, 6]))
    rows = file.tensor("i8", (1, 6), scales)
    file.operator("ADD", [flat, flat], [rows], options("AddOptions"))
    weight = file.constant(random.integers(-9, 9, (4, 6), np.int8), Scales.one(0.1))
    scores = file.tensor("i8", (1, 4), scales)
    file.operator("FULLY_CONNECTED", [rows, weight, None], [scores], options("FullyConnectedOptions"), version=4)
    file.operator("DEQUANTIZE", [scores], [file.output("f32", (1, 4), name="y")], options("DequantizeOptions"))
    file.signature({"in": image}, {"out": file.graph.outputs[0]})
    return file


WHOLE = small_model().content()


def message_of(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        import_tflite(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


def assert_contained(content: bytes, path: Path) -> None:
    """Assert that a file is imported as a proper module, or refused, and either soon."""
    path.write_bytes(content)
    started = time.perf_counter()
    with contextlib.suppress(InputError):
        assert verify(import_tflite(path)) == []
    assert time.perf_counter() - started < LONGEST_SECONDS


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("files") / "model.tflite"


def test_the_whole_model_is_fine(scratch: Path) -> None:
    scratch.write_bytes(WHOLE)
    module = import_tflite(scratch)
    assert verify(module) == []
    assert [value.name for value in module.graph.inputs] == ["in"]


def test_a_missing_file(tmp_path: Path) -> None:
    assert "cannot be read: no such file or directory" in message_of(tmp_path / "none.tflite")


def test_a_directory(tmp_path: Path) -> None:
    assert "expected a TFLite file, found a directory" in message_of(tmp_path)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "found an empty file"),
        (b"PK\x03\x04 and more", "found a zip archive"),
        (b"<html>not a model</html>", "24 bytes that begin with b'<html>not a mode'"),
        (b"\x1c\x00\x00\x00TFL3", "damaged or cut short"),
    ],
)
def test_another_kind_of_file(scratch: Path, content: bytes, told: str) -> None:
    scratch.write_bytes(content)
    assert told in message_of(scratch)


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(length=st.integers(0, len(WHOLE) - 1))
def test_a_file_that_is_cut_short(scratch: Path, length: int) -> None:
    assert_contained(WHOLE[:length], scratch)


@settings(max_examples=400)
@given(tail=st.binary(max_size=400))
def test_random_bytes(scratch: Path, tail: bytes) -> None:
    assert_contained(b"\x10\x00\x00\x00TFL3" + tail, scratch)


WORDS = st.one_of(
    st.sampled_from([0, 1, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, 0xFFFF_FFFC, 0xFFFF]), st.integers(0, 2**32 - 1)
)


@st.composite
def damaged(draw: st.DrawFn, whole: bytes) -> bytes:
    """Draw the file with some of its words and bytes overwritten."""
    raw = bytearray(whole)
    for _ in range(draw(st.integers(1, 4))):
        position = draw(st.integers(8, len(raw) - 4))
        if draw(st.booleans()):
            raw[position : position + 4] = draw(WORDS).to_bytes(4, "little")
        else:
            raw[position] = draw(st.integers(0, 255))
    return bytes(raw)


@settings(max_examples=500)
@given(content=damaged(WHOLE))
def test_damaged_bytes(scratch: Path, content: bytes) -> None:
    assert_contained(content, scratch)


@pytest.mark.parametrize("whole", [WHOLE, running_sum().file.content()], ids=["plain", "variables"])
def test_every_word_overwritten(whole: bytes, scratch: Path) -> None:
    words = (b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\x00\x00\x00\x00")
    for position in range(8, len(whole) - 4, 4):
        assert_contained(whole[:position] + words[position // 4 % 3] + whole[position + 4 :], scratch)


@pytest.mark.assets
@settings(max_examples=60)
@given(data=st.data())
def test_damaged_models(assets: Path, scratch: Path, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(["kws_dscnn_s8", "kws_dscnn_f32", "resnet8_s8"]))
    assert_contained(data.draw(damaged((assets / "models" / f"{name}.tflite").read_bytes())), scratch)


# Well-formed flatbuffers that say odd things


def _places(thing: Any) -> Iterator[tuple[Any, str | int, Any]]:
    """Yield every number and list of a model: what holds it, where, and its content."""
    entries = list(enumerate(thing)) if isinstance(thing, list) else list(vars(thing).items())
    for key, content in entries:
        if isinstance(content, bool | int | float | list):
            yield thing, key, content
        if isinstance(content, list) or hasattr(content, "__dict__"):
            yield from _places(content)


UNBUILDABLE = (TypeError, ValueError, AttributeError, OverflowError, IndexError, RuntimeError, struct.error)
"""What the builder says to numbers that the format cannot hold."""

NUMBERS = st.one_of(st.sampled_from([-1, 0, 1, 2, 3, 127, 128, -128, 255, 2**31 - 1, -(2**31)]), st.integers(-9, 99))


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_odd_numbers_and_lists(scratch: Path, data: st.DataObject) -> None:
    file = small_model()
    for _ in range(data.draw(st.integers(1, 2))):
        places = list(_places(file.model))
        holder, key, content = places[data.draw(st.integers(0, len(places) - 1))]
        if isinstance(content, list):
            changed: Any = data.draw(st.sampled_from([content[:-1], content * 2, content[::-1], []]))
        else:
            changed = type(content)(data.draw(NUMBERS))
        if isinstance(holder, list):
            holder[int(key)] = changed
        else:
            setattr(holder, str(key), changed)
    content = b""
    with contextlib.suppress(*UNBUILDABLE):
        content = file.content()
    if content:
        assert_contained(content, scratch)


def test_lists_that_share_their_entries_do_not_keep_us_busy(scratch: Path) -> None:
    """A few bytes that say: so many operators, each with so many operands."""
    many = 20_000
    builder = flatbuffers.Builder(1024)
    builder.StartVector(4, many, 4)
    for _ in range(many):
        builder.PrependInt32(0)
    operands = builder.EndVector()
    tflite.OperatorStart(builder)
    tflite.OperatorAddInputs(builder, operands)
    operator = tflite.OperatorEnd(builder)
    operators = _vector_of_tables(builder, [operator] * many)
    tflite.SubGraphStart(builder)
    tflite.SubGraphAddOperators(builder, operators)
    graphs = _vector_of_tables(builder, [tflite.SubGraphEnd(builder)])
    tflite.OperatorCodeStart(builder)
    codes = _vector_of_tables(builder, [tflite.OperatorCodeEnd(builder)])
    tflite.ModelStart(builder)
    tflite.ModelAddSubgraphs(builder, graphs)
    tflite.ModelAddOperatorCodes(builder, codes)
    builder.Finish(tflite.ModelEnd(builder), b"TFL3")
    scratch.write_bytes(builder.Output())
    started = time.perf_counter()
    assert "more entries than the file has room for" in message_of(scratch)
    assert time.perf_counter() - started < LONGEST_SECONDS


def _vector_of_tables(builder: flatbuffers.Builder, offsets: list[int]) -> int:
    builder.StartVector(4, len(offsets), 4)
    for offset in offsets:
        builder.PrependUOffsetTRelative(offset)
    return builder.EndVector()
