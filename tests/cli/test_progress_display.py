from __future__ import annotations

import io
import sys
import time

import pytest

from mrqc.cli import progress
from mrqc.cli.modules import PassLog, instruments


class Screen(io.StringIO):
    """Collects what is written, and says that a person looks at it or does not."""

    def __init__(self, terminal: bool) -> None:
        super().__init__()
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal


def shown_on(screen: Screen, monkeypatch: pytest.MonkeyPatch, *, patience: float, work: float) -> str:
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setattr(progress, "PATIENCE_SECONDS", patience)
    monkeypatch.setenv("TERM", "xterm")
    with progress.activity("thinking") as shown:
        shown.describe("thinking harder")
        time.sleep(work)
        shown.advance(3, 4)
        time.sleep(work)
    return screen.getvalue()


def test_a_terminal_sees_what_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    text = shown_on(Screen(True), monkeypatch, patience=0.01, work=0.3)
    assert "thinking harder" in text
    assert "75%" in text


def test_a_terminal_sees_how_far_a_pass_is(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen(True)
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setattr(progress, "PATIENCE_SECONDS", 0.01)
    monkeypatch.setenv("TERM", "xterm")
    with progress.activity("starting") as shown:
        observed = instruments(PassLog(shown))
        time.sleep(0.1)
        observed.on_progress("looking at samples", 3, 12)
        time.sleep(0.3)
    assert "looking at samples" in screen.getvalue()
    assert "25%" in screen.getvalue()


def test_a_terminal_does_not_see_what_is_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown_on(Screen(True), monkeypatch, patience=30, work=0.01) == ""


def test_a_pipe_sees_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown_on(Screen(False), monkeypatch, patience=0.01, work=0.1) == ""


def test_the_display_goes_when_the_work_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Screen(True))
    monkeypatch.setattr(progress, "PATIENCE_SECONDS", 0.01)
    monkeypatch.setenv("TERM", "xterm")

    def work() -> None:
        with progress.activity("failing"):
            time.sleep(0.2)
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        work()
    # Its hidden cursor comes back.
    assert "\x1b[?25h" in sys.stderr.getvalue()
