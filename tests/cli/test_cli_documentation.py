from __future__ import annotations

import re

import pytest
import typer
from command_line import ROOT

from mrqc.cli.app import app

TEXT = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
COMMANDS = {
    name: [option for parameter in command.params for option in parameter.opts if option.startswith("-")]
    for name, command in typer.main.get_command(app).commands.items()  # type: ignore[attr-defined]
}


def section(command: str) -> str:
    """Return the part of the page under the command's heading."""
    match = re.search(rf"^## mrqc {command}$(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL)
    assert match is not None, f"docs/cli.md has no section 'mrqc {command}'"
    return match[1]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_and_option_is_documented_with_an_example(command: str) -> None:
    text = section(command)
    missing = [option for option in COMMANDS[command] if f"`{option}" not in text and f" {option}" not in text]
    assert not missing
    assert re.search(rf"```\n\$ mrqc {command}\b", text), "no example"


@pytest.mark.parametrize("command", COMMANDS)
def test_no_option_is_documented_that_does_not_exist(command: str) -> None:
    mentioned = set(re.findall(r"`(--[a-z-]+)", section(command)))
    assert mentioned <= {*COMMANDS[command], "--help"}


def test_no_command_is_documented_that_does_not_exist() -> None:
    assert set(re.findall(r"^## mrqc (\w+)$", TEXT, re.MULTILINE)) == set(COMMANDS)


def test_the_exit_codes_are_documented() -> None:
    for code in (0, 1, 2, 3, 70, 141):
        assert f"| {code} |" in TEXT
