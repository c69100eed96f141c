"""The original as a teacher: what it has seen, computed once, in bounded memory, whatever the batch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

import mrqc
from mrqc.backends import interpreter
from mrqc.backends.reference import ReferenceProgram
from mrqc.calibration import ArrayCache, CalibrationSamples, Teacher, ValueStatistics
from mrqc.calibration import samples as implementation
from mrqc.ir import Module
from mrqc.passes import parse_pipeline, run_pipeline
from mrqc.testing import nn_modules


def assert_same_statistics(found: Teacher, expected: Teacher) -> None:
    assert list(found.statistics) == list(expected.statistics)
    for name, statistics in expected.statistics.items():
        other = found.statistics[name]
        assert other.type == statistics.type
        pairs = [(other.moments.to_arrays(), statistics.moments.to_arrays())]
        assert (other.histogram is None) == (statistics.histogram is None)
        if other.histogram is not None and statistics.histogram is not None:
            pairs.append((other.histogram.to_arrays(), statistics.histogram.to_arrays()))
        for arrays, theirs in pairs:
            for part, array in theirs.items():
                assert_array_equal(arrays[part], array, err_msg=f"{name} {part}")


def digits_teacher(digits: Path, cache: ArrayCache | None = None, limit: int = 24) -> Teacher:
    module = mrqc.load(digits / "digits.onnx")
    samples = CalibrationSamples.open(digits / "calib.npz", module, limit=limit)
    return Teacher(module, samples, cache=cache)


@given(module=nn_modules(), count=st.integers(1, 5), slice_bytes=st.sampled_from([1, 500, 1 << 30]))
@settings(max_examples=40)
def test_statistics_are_those_of_the_whole_trace_whatever_the_batch(
    module: Module, count: int, slice_bytes: int
) -> None:
    samples = CalibrationSamples.synthetic(module, count)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(interpreter, "SLICE_BYTES", slice_bytes)
        teacher = Teacher(module, samples)
        found = dict(teacher.statistics)
    program = ReferenceProgram(module)
    moving = [value for value in module.graph.values() if value not in program.known]
    assert list(found) == [value.name for value in moving]
    traces = [program.trace(batch) for batch in samples.batches_for(module, 1)]
    for value in moving:
        parts = [ValueStatistics.of(trace[value.name], value.type) for trace in traces]
        expected = parts[0]
        for part in parts[1:]:
            expected = expected.merge(part)
        arrays = found[value.name].moments.to_arrays()
        for name, array in expected.moments.to_arrays().items():
            assert_array_equal(arrays[name], array, err_msg=f"{value} {name}")
        if expected.histogram is not None:
            histogram = found[value.name].histogram
            assert histogram is not None
            assert_array_equal(histogram.rows, expected.histogram.rows)


def test_the_teacher_of_a_rewritten_module_is_fed_the_same_pictures(digits: Path) -> None:
    teacher = digits_teacher(digits)
    stripped = run_pipeline(teacher.module, parse_pipeline("strip-edges"))
    assert stripped.graph.inputs != teacher.module.graph.inputs
    same = Teacher(stripped, teacher.samples).statistics
    shared = [name for name in same if name in teacher.statistics and name not in ("image", "input", "x")]
    assert len(shared) > 5
    for name in shared:
        statistics = teacher.statistics[name]
        if same[name].type == statistics.type:
            assert_array_equal(same[name].mean, statistics.mean, err_msg=name)


def test_progress_counts_the_samples(digits: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interpreter, "SLICE_BYTES", 20_000)
    seen: list[tuple[str, int, int]] = []
    original = digits_teacher(digits)
    teacher = Teacher(original.module, original.samples, progress=lambda *step: seen.append(step))
    assert seen == []
    assert teacher.statistics
    assert {(description, total) for description, _, total in seen} == {("statistics of the original", 24)}
    counts = [done for _, done, _ in seen]
    assert counts[0] == 0
    assert counts[-1] == 24
    assert counts == sorted(set(counts))
    assert len(counts) > 3


def test_samples_are_synthetic_where_none_are_given(digits: Path) -> None:
    module = mrqc.load(digits / "digits.onnx")
    assert_same_statistics(Teacher(module), Teacher(module, CalibrationSamples.synthetic(module)))


def test_what_is_cached_is_what_was_computed(digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = digits_teacher(digits)
    first = digits_teacher(digits, ArrayCache(tmp_path))
    assert_same_statistics(first, expected)
    assert len(list(tmp_path.iterdir())) == 1
    with monkeypatch.context() as patch:
        patch.setattr(ReferenceProgram, "walk", lambda *_: pytest.fail("the module ran although all is cached"))
        assert_same_statistics(digits_teacher(digits, ArrayCache(tmp_path)), expected)
    assert_same_statistics(digits_teacher(digits, ArrayCache(tmp_path), limit=5), digits_teacher(digits, limit=5))
    assert len(list(tmp_path.iterdir())) == 2


def test_names_and_facts_of_a_module_do_not_count(digits: Path, tmp_path: Path) -> None:
    first = digits_teacher(digits, ArrayCache(tmp_path))
    renamed = replace(first.module, name="another").with_facts(source="elsewhere.onnx")
    assert_same_statistics(Teacher(renamed, first.samples, cache=ArrayCache(tmp_path)), first)
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("damage", ["empty", "cut", "foreign", "reshaped"])
def test_a_damaged_file_is_computed_anew_and_written_over(digits: Path, tmp_path: Path, damage: str) -> None:
    expected = digits_teacher(digits, ArrayCache(tmp_path))
    assert expected.statistics
    (path,) = tmp_path.iterdir()
    content = path.read_bytes()
    if damage == "foreign":
        np.savez(path, other=np.arange(3))
    elif damage == "reshaped":
        with np.load(path) as archive:
            arrays = {name: archive[name][..., :1] if archive[name].ndim else archive[name] for name in archive.files}
        cache = ArrayCache(tmp_path)
        cache.store(path.stem, arrays)
    else:
        path.write_bytes(b"" if damage == "empty" else content[: len(content) // 2])
    assert_same_statistics(digits_teacher(digits, ArrayCache(tmp_path)), expected)
    assert path.read_bytes() == content


def test_a_cache_that_cannot_be_written_is_no_error(digits: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert_same_statistics(digits_teacher(digits, ArrayCache(tmp_path / "file")), digits_teacher(digits))


@pytest.mark.parametrize(
    ("model", "data"),
    [("kws_dscnn_s8.tflite", "kws/calib.npz"), ("resnet8.qdq.u8.onnx", "cifar10/calib.npz")],
)
def test_statistics_of_real_models(
    assets: Path, model: str, data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = mrqc.load(assets / "models" / model)
    samples = CalibrationSamples.open(assets / "data" / data, module, limit=16)
    expected = Teacher(module, samples, cache=ArrayCache(tmp_path))
    for statistics in expected.statistics.values():
        low, high = statistics.real_range
        assert low <= statistics.mean.min() <= statistics.mean.max() <= high
        if statistics.histogram is not None:
            assert statistics.histogram.total == 16 * statistics.type.size
    monkeypatch.setattr(interpreter, "SLICE_BYTES", 1)
    monkeypatch.setattr(implementation, "_KEPT_BYTES", 0)
    again = CalibrationSamples.open(assets / "data" / data, module, limit=16)
    assert_same_statistics(Teacher(module, again), expected)
    assert_same_statistics(Teacher(module, again, cache=ArrayCache(tmp_path)), expected)


def test_statistics_of_photographs(assets: Path) -> None:
    module = mrqc.load(assets / "models" / "mobilenet_v2_qat_u8.tflite")
    samples = CalibrationSamples.open(assets / "data" / "imagenet" / "calib", module, limit=2)
    statistics = Teacher(module, samples).statistics
    trace = [ReferenceProgram(module).trace(batch) for batch in samples.batches_for(module, 1)]
    for name, one in statistics.items():
        codes = np.concatenate([values[name] for values in trace])
        assert one.histogram is not None
        assert one.histogram.counts.tolist() == np.bincount(codes.ravel().astype(int), minlength=256).tolist()
