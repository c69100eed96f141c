"""Runs every ``.mrq`` file beside this one; docs/text-format.md has the syntax, filetest_format.py the directives."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filetest_format import Case, read_cases
from filetest_kernel import compiled_outputs, int_module
from filetest_runner import assert_case, updated
from numpy.typing import NDArray

FOLDER = Path(__file__).resolve().parent
FILES = sorted(FOLDER.rglob("*.mrq"))

Results = Mapping[str, list[dict[str, NDArray[Any]]]]


def case_id(case: Case) -> str:
    return f"{case.path.relative_to(FOLDER)}:{case.label}"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "case" not in metafunc.fixturenames:
        return
    if metafunc.config.getoption("--update-filetests"):
        for path in FILES:
            path.write_text(updated(path), encoding="utf-8")
    cases = [case for path in FILES for case in read_cases(path)]
    ids = [case_id(case) for case in cases]
    assert len(set(ids)) == len(ids), "two cases of one file hold modules of the same name"
    metafunc.parametrize("case", cases, ids=ids)


@pytest.fixture(scope="session")
def compiled(request: pytest.FixtureRequest) -> Results:
    """What the C of all selected int cases gives, by case."""
    selected = [item.callspec.params["case"] for item in request.session.items if _has_case(item)]
    cases = [case for case in selected if int_module(case) is not None]
    return dict(zip(map(case_id, cases), compiled_outputs(cases), strict=True))


def _has_case(item: pytest.Item) -> bool:
    callspec = getattr(item, "callspec", None)
    return callspec is not None and isinstance(callspec.params.get("case"), Case)


def test_file(case: Case, request: pytest.FixtureRequest) -> None:
    is_compiled = int_module(case) is not None
    results: Results = request.getfixturevalue("compiled") if is_compiled else {}
    assert_case(case, results.get(case_id(case)))
    assert (case_id(case) in results) == is_compiled


def test_there_are_files() -> None:
    assert len(FILES) > 10


def bad_case(content: str) -> list[Case]:
    return read_cases(FOLDER / "bad.mrq", content)


@pytest.mark.parametrize(
    "content",
    [
        "// exepct: y = [1]\n// run: x = [1]\nmodule @m {}\n",
        "// a comment\nmodule @m {}\n",
        "// run: x = [1]\n// -----\nmodule @m {}\n",
    ],
)
def test_a_case_without_a_check_is_refused(content: str) -> None:
    with pytest.raises(AssertionError, match=r"bad\.mrq:\d"):
        bad_case(content)


MODULE = """
module @m {
  inputs (%x : tensor<1x2x!quant.uniform<i8:f32, 1.0>>)
  %y = int.clamp(%x) {minimum = -5, maximum = 5} : tensor<1x2x!quant.uniform<i8:f32, 1.0>>
  return (%y as "y")
}
"""


@pytest.mark.parametrize(
    ("directives", "complaint"),
    [
        ("// run: x = [9, 3]\n// expect: y = [5, 4]", "interpreter"),
        ("// run: x = [9, 3]", "nothing is expected"),
        ("// run: x = [9, 300]\n// expect: y = [5, 4]", "do not fit"),
        ("// run: z = [9, 3]\n// expect: y = [5, 4]", "fed are"),
        ("// run: x = [9, 3]\n// expect: z = [5, 4]", "outputs are"),
        ("// expect-text:\n// module @m {", "module @m"),
        ("// error: 1:1 something", "something"),
    ],
)
def test_a_false_expectation_fails(directives: str, complaint: str) -> None:
    (case,) = bad_case(directives + MODULE)
    with pytest.raises(AssertionError, match=complaint):
        assert_case(case, None)


def test_a_false_result_of_the_c_fails() -> None:
    (case,) = bad_case("// run: x = [9, 3]\n// expect: y = [5, 3]" + MODULE)
    assert_case(case, [{"y": np.array([[5, 3]], np.int8)}])
    with pytest.raises(AssertionError, match="compiled C"):
        assert_case(case, [{"y": np.array([[5, 4]], np.int8)}])


def test_expectations_are_rewritten(tmp_path: Path) -> None:
    path = tmp_path / "wrong.mrq"
    wrong = f"// run: x = [9, -9, 1, 2]\n// expect: y = [0]\n// expect-text:\n// module{MODULE}"
    error = "// error: 1:1 wrong\nmodule @broken {"
    path.write_text(f"{wrong}// -----\n{error}\n", encoding="utf-8")
    path.write_text(updated(path), encoding="utf-8")
    good, broken = read_cases(path)
    assert_case(good, None)
    assert_case(broken, None)
    assert "// expect: y = [5, -5, 1, 2]" in good.lines
    assert updated(path) == path.read_text(encoding="utf-8")
