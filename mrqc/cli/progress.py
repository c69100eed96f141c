"""What a person sees who waits longer than two seconds; a pipe sees nothing."""

from __future__ import annotations

import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)

PATIENCE_SECONDS = 2.0


class Activity:
    """Something that takes time: a description, and how much of it is done where that is known."""

    def __init__(self, description: str) -> None:
        """Begin invisibly; the display appears after two seconds, if stderr is a terminal."""
        self._lock = threading.Lock()
        self._finished = False
        self._display: Progress | None = None
        self._description = description
        self._done: tuple[int, int] | None = None
        self._timer = threading.Timer(PATIENCE_SECONDS, self._show)
        self._timer.daemon = True
        if sys.stderr.isatty():
            self._timer.start()

    def describe(self, description: str) -> None:
        """Say what is being done now."""
        with self._lock:
            self._description, self._done = description, None
            self._update()

    def advance(self, done: int, total: int) -> None:
        """Say how much is done."""
        with self._lock:
            self._done = (done, total)
            self._update()

    def report(self, description: str, done: int, total: int) -> None:
        """Say what is being done and how much of it is."""
        with self._lock:
            self._description, self._done = description, (done, total)
            self._update()

    def finish(self) -> None:
        """Remove the display."""
        self._timer.cancel()
        with self._lock:
            self._finished = True
            if self._display is not None:
                self._display.stop()

    def _show(self) -> None:
        with self._lock:
            if self._finished:
                return
            columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
            console = Console(stderr=True)
            self._display = Progress(*columns, TimeElapsedColumn(), console=console, transient=True)
            self._display.add_task(self._description, total=None)
            self._update()
            self._display.start()

    def _update(self) -> None:
        if self._display is None:
            return
        task = self._display.tasks[0].id
        done, total = self._done if self._done is not None else (None, None)
        self._display.update(task, description=self._description, completed=done, total=total)


@contextmanager
def activity(description: str) -> Generator[Activity, None, None]:
    """Show that something is going on until the block ends."""
    shown = Activity(description)
    try:
        yield shown
    finally:
        shown.finish()
