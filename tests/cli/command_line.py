"""The real command, in this process or in one of its own."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from mrqc.cli import main

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Result:
    """What a command left behind."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class CommandLine:
    """Runs ``mrqc`` inside this process, which is fast, through the same entry point as the installed script."""

    monkeypatch: pytest.MonkeyPatch
    capture: pytest.CaptureFixture[str]

    def __call__(self, *arguments: str | Path, stdin: bytes = b"") -> Result:
        self.monkeypatch.setattr(sys, "argv", ["mrqc", *map(str, arguments)])
        self.monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        self.capture.readouterr()
        with pytest.raises(SystemExit) as exit_:
            main()
        captured = self.capture.readouterr()
        code = exit_.value.code
        return Result(code if isinstance(code, int) else 0 if code is None else 1, captured.out, captured.err)


def run_process(*arguments: str | Path) -> Result:
    """Run ``python -m mrqc`` as a process of its own."""
    found = subprocess.run(
        [sys.executable, "-m", "mrqc", *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    return Result(found.returncode, found.stdout.decode(), found.stderr.decode())
