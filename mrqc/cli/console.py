"""stdout carries the result and nothing else; everything for people goes to stderr."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping

from mrqc.errors import InputError

_BROKEN_PIPE = 141
"""What a shell reports for a process that SIGPIPE ended."""


def note(message: str) -> None:
    """Write a remark to stderr."""
    sys.stderr.write(f"mrqc: {message}\n")


def complain(message: str) -> None:
    """Write an error to stderr."""
    sys.stderr.write(f"mrqc: error: {message}\n")


def write_result(text: str) -> None:
    """Write a result to stdout, now.

    Raises:
        SystemExit: Nobody reads it any more.
        InputError: It cannot be written, for example because the disk is full.
    """
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        # The interpreter flushes stdout once more when it ends, and would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(_BROKEN_PIPE)
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise InputError(f"stdout: cannot be written: {error.strerror}") from error


def write_json(content: Mapping[str, object]) -> None:
    """Write the one JSON object of a command to stdout."""
    write_result(json.dumps(content, indent=2, allow_nan=False) + "\n")


def read_stdin() -> str:
    """Return the text on stdin.

    Raises:
        InputError: It is not UTF-8.
    """
    raw = sys.stdin.buffer.read()
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"<stdin>: not UTF-8 text: byte {raw[error.start]:#04x} at {error.start}") from error


def write_diagnostic(text: str) -> None:
    """Write a text that a person asked for beside the result, such as a module between passes, to stderr."""
    sys.stderr.write(text if text.endswith("\n") else f"{text}\n")
