"""What a pass that needs the original is handed, and that nothing else has to pay for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import Network, residual_network

import mrqc
from mrqc.backends import interpreter
from mrqc.calibration import CalibrationSamples, Teacher
from mrqc.calibration import samples as implementation
from mrqc.errors import InputError, PassError, UsageError
from mrqc.ir import Module
from mrqc.passes import (
    RECIPES,
    CalibratedPass,
    Exactness,
    Instruments,
    Pass,
    parse_passes,
    parse_pipeline,
    pipeline_for,
    run_pipeline,
)
from mrqc.targets import BUILTIN_TARGETS, load_target


@dataclass(frozen=True)
class Note(CalibratedPass):
    """Keeps what it is given in a fact of the module, and its teacher in a list."""

    name: ClassVar[str] = "note"
    summary: ClassVar[str] = "write down the mean of every activation"
    exactness: ClassVar[Exactness] = "lossy"
    teachers: ClassVar[list[Teacher]] = []

    def run(self, module: Module, teacher: Teacher) -> Module:
        self.teachers.append(teacher)
        teacher.progress("noting", 1, 2)
        means = {name: statistics.mean.tolist() for name, statistics in teacher.statistics.items()}
        return module.with_facts(means=repr(means), samples=teacher.samples.digest)


@dataclass(frozen=True)
class Rename(Pass):
    """A lossy pass that needs no data."""

    name: ClassVar[str] = "rename"
    summary: ClassVar[str] = "add a fact"
    exactness: ClassVar[Exactness] = "lossy"

    def __call__(self, module: Module) -> Module:
        return module.with_facts(renamed="yes")


@dataclass(frozen=True)
class Fail(CalibratedPass):
    """Breaks."""

    name: ClassVar[str] = "fail"
    summary: ClassVar[str] = "raise"
    exactness: ClassVar[Exactness] = "lossy"

    def run(self, module: Module, teacher: Teacher) -> Module:
        raise ValueError(f"no idea what to do with {len(teacher.samples)} samples of {module.name}")


@pytest.fixture(autouse=True)
def no_teachers_yet() -> None:
    Note.teachers.clear()


def samples_of(module: Module, count: int = 9) -> CalibrationSamples:
    return CalibrationSamples.synthetic(module, count, seed=4)


def test_the_module_before_the_first_lossy_pass_teaches_all_calibrated_ones() -> None:
    module = residual_network()
    canonical = run_pipeline(module, parse_pipeline("canonicalize"))
    samples = samples_of(module)
    passes = [*parse_pipeline("canonicalize"), Rename(), Note(), Rename(), Note()]
    run_pipeline(module, passes, samples=samples)
    first, second = Note.teachers
    assert first is second
    assert first.samples is samples
    assert first.module == canonical
    assert first.module.fact("renamed") is None


def test_without_samples_they_are_synthetic() -> None:
    module = residual_network()
    found = run_pipeline(module, [Rename(), Note()])
    assert found.fact("samples") == CalibrationSamples.synthetic(module).digest


def test_a_pass_on_its_own_is_taught_by_its_module() -> None:
    module = residual_network()
    found = Note()(module)
    assert Note.teachers[0].module is module
    assert found.fact("samples") == CalibrationSamples.synthetic(module).digest
    assert parse_passes("note", [Note], None) == (Note(),)


def test_progress_of_a_pass_and_of_its_teacher_reaches_the_instruments() -> None:
    seen: list[tuple[str, int, int]] = []
    instruments = Instruments(on_progress=lambda *step: seen.append(step))
    run_pipeline(residual_network(), [Note()], instruments, samples_of(residual_network()))
    assert seen[0] == ("noting", 1, 2)
    assert seen[-1] == ("statistics of the original", 9, 9)


def test_a_fault_of_a_calibrated_pass_names_it_and_leaves_a_reproducer(tmp_path: Path) -> None:
    with pytest.raises(PassError, match="pass fail: ValueError: no idea what to do with 9 samples") as caught:
        run_pipeline(
            residual_network(), [Fail()], Instruments(reproducer_directory=tmp_path), samples_of(residual_network())
        )
    assert caught.value.reproducer is not None
    assert "--passes 'fail'" in Path(caught.value.reproducer).read_text()


def fail_on_use(*_: object) -> Any:
    pytest.fail("something was computed that nobody asked for")


def test_nothing_is_computed_without_a_pass_that_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("statistics", "samples", "program"):
        monkeypatch.setattr(Teacher, name, property(fail_on_use))
    monkeypatch.setattr(CalibrationSamples, "read", fail_on_use)
    module = residual_network()
    arrays = {value.name: np.zeros((3, *value.type.shape[1:])) for value in module.graph.inputs}
    passes = "symmetrize,assign-scales{samples=false},correct-weights,merge-channels,clip-weights,round-weights"
    expected = mrqc.requantize(module, "pow2-npu", passes=passes)
    assert mrqc.requantize(module, "pow2-npu", arrays, passes=passes) == expected


@given(count=st.integers(1, 9), wanted=st.integers(1, 12), batch=st.integers(1, 3))
def test_a_few_samples_are_spread_over_all(count: int, wanted: int, batch: int) -> None:
    net = Network()
    module = net.finish(net.input((batch, 2, 3, 1), 2.0**-6, 128))
    (value,) = module.graph.inputs
    codes = np.arange(count * batch * 6, dtype=np.uint8).reshape(-1, 2, 3, 1)
    for samples in (
        CalibrationSamples.of(codes, module, limit=None),
        CalibrationSamples.synthetic(module, count),
    ):
        few = samples.few(wanted)
        assert len(few) == min(wanted, count)
        everything = samples.read(0, count)[value.name].reshape(count, -1)
        rows = few.read(0, len(few))[value.name].reshape(len(few), -1)
        assert rows.tolist() == [everything[index * count // len(few)].tolist() for index in range(len(few))]


@pytest.mark.parametrize("pass_", ["round-weights,correct-biases{", "round-weights{method=closed-form "])
@pytest.mark.parametrize(("values", "looked_at"), [(0, 12), (10**9, 12), (1, 4)])
def test_a_large_model_sees_fewer_samples(
    pass_: str, values: int, looked_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = residual_network()
    asked: list[int] = []
    few = CalibrationSamples.few

    def counted(self: CalibrationSamples, count: int) -> CalibrationSamples:
        asked.append(count)
        return few(self, count)

    monkeypatch.setattr(CalibrationSamples, "few", counted)
    passes = f"symmetrize,assign-scales,{pass_}limit=12 values={values}}}"
    mrqc.requantize(module, "sym-npu", samples_of(module, 20), passes=passes)
    assert asked == [looked_at]


@pytest.mark.parametrize("given_samples", [False, True])
def test_a_teacher_of_few_samples_is_one_teacher(given_samples: bool) -> None:
    module = residual_network()
    teacher = Teacher(module, samples_of(module, 9) if given_samples else None)
    few = teacher.with_few(4)
    assert few is teacher.with_few(4)
    assert few is not teacher.with_few(5)
    assert teacher.with_few(0) is teacher.with_few(1000) is teacher
    assert len(few.samples) == 4
    # What they are does not change with their number, and what passes do to channels all have to know.
    assert (few.has_data, few.is_representative) == (teacher.has_data, teacher.is_representative)
    few.scaled["x"] = np.ones(1)
    assert "x" in teacher.scaled


def test_the_result_does_not_depend_on_the_batch(digits: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = mrqc.load(digits / "digits.onnx")

    def lowered() -> str:
        samples = CalibrationSamples.open(digits / "calib.npz", module, limit=20)
        return str(run_pipeline(module, [Rename(), Note()], samples=samples))

    expected = lowered()
    for slice_bytes in (1, 5000, 40_000):
        monkeypatch.setattr(interpreter, "SLICE_BYTES", slice_bytes)
        assert lowered() == expected
    monkeypatch.setattr(implementation, "_KEPT_BYTES", 0)
    assert lowered() == expected


def given_as_path(folder: Path, codes: np.ndarray) -> object:
    np.save(folder / "codes.npy", codes)
    return str(folder / "codes.npy")


GIVEN: dict[str, Callable[[Path, Module, np.ndarray], object]] = {
    "path": lambda folder, _, codes: Path(str(given_as_path(folder, codes))),
    "text": lambda folder, _, codes: given_as_path(folder, codes),
    "array": lambda _, __, codes: codes,
    "dictionary": lambda _, module, codes: {module.graph.inputs[0].name: codes},
    "samples": lambda _, module, codes: CalibrationSamples.of(codes, module),
}


@pytest.mark.parametrize("form", GIVEN)
@pytest.mark.parametrize("function", [mrqc.lower, mrqc.requantize])
def test_every_form_of_calibration_reaches_the_pass(
    form: str, function: Callable[..., Module], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = residual_network()
    (value,) = module.graph.inputs
    random = np.random.default_rng(1)
    codes = random.integers(0, 256, (5, *value.type.shape[1:])).astype(value.type.dtype.numpy)
    monkeypatch.setattr("mrqc.passes.PASSES", (*mrqc.passes.PASSES, Note))
    seen: list[tuple[str, int, int]] = []
    found = function(
        module,
        "pow2-npu",
        GIVEN[form](tmp_path, module, codes),
        passes="canonicalize,note",
        progress=lambda *step: seen.append(step),
    )
    assert found.fact("samples") == CalibrationSamples.of(codes, module).digest
    assert ("statistics of the original", 5, 5) in seen


@pytest.mark.parametrize("function", [mrqc.lower, mrqc.requantize])
@pytest.mark.parametrize("target", ["pow2-npu", "tflite"])
def test_calibration_that_does_not_fit_is_refused_though_nothing_asks(
    function: Callable[..., Module], target: str
) -> None:
    with pytest.raises(InputError, match="samples of shape"):
        function(residual_network(), target, np.zeros((2, 1, 1)))


@pytest.mark.parametrize("function", [mrqc.lower, mrqc.requantize])
def test_a_recipe_and_passes_exclude_each_other(function: Callable[..., Module]) -> None:
    with pytest.raises(UsageError, match="give one of them"):
        function(residual_network(), "pow2-npu", passes="requantize", recipe="fast")
    with pytest.raises(UsageError, match=r"no recipe is called 'slow' \(possible: fast, default, best\)"):
        function(residual_network(), "pow2-npu", recipe="slow")


@pytest.mark.parametrize("name", BUILTIN_TARGETS)
@pytest.mark.parametrize("recipe", [None, *RECIPES])
def test_every_target_has_a_pipeline_for_every_recipe(name: str, recipe: str | None) -> None:
    target = load_target(name)
    names = [pass_.name for pass_ in parse_pipeline(pipeline_for(target, recipe), target)]
    assert "lower-to-int" in names
    assert names[-1] == "legalize"
