from __future__ import annotations

import resource
import subprocess
import sys

import pytest
from command_line import ROOT, CommandLine, run_process

from mrqc.cli.app import COMMANDS


def test_help_lists_every_command(mrqc: CommandLine) -> None:
    result = mrqc("--help")
    assert result.code == 0
    for command in COMMANDS:
        assert f"  {command.__name__} " in result.out
    assert "compare" not in result.out


def test_no_arguments_show_the_help(mrqc: CommandLine) -> None:
    result = mrqc()
    assert result.code in (0, 2)
    assert "Commands:" in result.out + result.err


def test_version(mrqc: CommandLine) -> None:
    assert mrqc("--version").out.startswith("mrqc ")


def test_python_dash_m() -> None:
    result = run_process("--help")
    assert result.code == 0
    assert result.out.startswith("Usage: mrqc ")


def test_help_starts_fast() -> None:
    # Processor time and the best of a few, since other processes may keep the machine busy.
    seconds: list[float] = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert run_process("--help").code == 0
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(seconds) < 0.4, seconds


@pytest.mark.parametrize("arguments", [["--help"], ["lower", "--help"], ["lower", "--unknown"], ["targets", "-h"]])
def test_help_and_mistakes_load_nothing_slow(arguments: list[str]) -> None:
    code = (
        "import sys, mrqc.cli\n"
        f"sys.argv = ['mrqc', *{arguments!r}]\n"
        "try:\n    mrqc.cli.main()\nexcept SystemExit:\n    pass\n"
        "print([name for name in ('numpy', 'onnx', 'lark', 'networkx', 'rich', 'PIL') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.stdout.splitlines()[-1] == "[]", found.stderr
