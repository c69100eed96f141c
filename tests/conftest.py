"""What all tests share: hypothesis profiles, where models and data are, and the list of single operators at the end."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from single_op_counts import pytest_terminal_summary as pytest_terminal_summary

ROOT = Path(__file__).resolve().parent.parent

# Whole modules take milliseconds to draw, more on a busy machine: a deadline would only measure that.
settings.register_profile("default", deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("default"), max_examples=200, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

# Nothing that an earlier run left behind may decide a test; those of the cache name folders of their own.
os.environ["MRQC_CACHE"] = "off"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-filetests",
        action="store_true",
        help="rewrite the expectations in tests/filetests/**/*.mrq to what the code does now",
    )


@pytest.fixture(scope="session")
def assets() -> Path:
    """The folder with real models and data; MRQC_ASSETS names it, MRQC_REQUIRE_ASSETS=1 insists on it."""
    folder = Path(os.environ.get("MRQC_ASSETS", ROOT.parent / "shared"))
    if folder.is_dir():
        return folder
    message = f"no models and data in {folder} (set MRQC_ASSETS)"
    if os.environ.get("MRQC_REQUIRE_ASSETS") == "1":
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(scope="session")
def digits() -> Path:
    """The folder of the project's own model: digits.onnx with calib.npz and test.npz."""
    folder = ROOT / "examples" / "digits"
    if not (folder / "digits.onnx").is_file():
        pytest.fail(f"{folder / 'digits.onnx'} is missing: it is part of the repository")
    return folder
