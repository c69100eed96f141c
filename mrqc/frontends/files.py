"""What all importers do with the path of a model: read it, say what else it seems to be, name the module."""

from __future__ import annotations

import os
import re
from pathlib import Path

from mrqc.errors import InputError

_SHOWN_BYTES = 16
_C_KEYWORD = re.compile(
    "auto|break|case|char|const|continue|default|do|double|else|enum|extern|float|for|goto|if|inline|int|long|"
    "register|restrict|return|short|signed|sizeof|static|struct|switch|typedef|union|unsigned|void|volatile|while"
)


def read_model_bytes(path: Path, kind: str) -> bytes:
    """Return the content of a model file.

    Args:
        path: The file.
        kind: What it should be, with its article, for messages: ``an ONNX file``.

    Raises:
        InputError: It is a directory, empty, or cannot be read.
    """
    if path.is_dir():
        raise InputError(f"{path}: expected {kind}, found a directory")
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {os_reason(error)}") from None
    if not raw:
        raise InputError(f"{path}: expected {kind}, found an empty file")
    return raw


def os_reason(error: OSError) -> str:
    """Return why the system refused, without the path."""
    return os.strerror(error.errno).lower() if error.errno is not None else str(error)


def describe_bytes(raw: bytes) -> str:
    """Say what the content of a file seems to be that is not what was expected."""
    if raw[4:8] == b"TFL3":
        return "a TensorFlow Lite model"
    if raw[:4] == b"PK\x03\x04":
        return "a zip archive"
    return f"{len(raw)} bytes that begin with {raw[:_SHOWN_BYTES]!r}"


def source_name(path: Path) -> str:
    """Return the name of a file as text that can be printed."""
    return os.fsencode(path.name).decode("utf-8", "replace")


def module_name(stem: str) -> str:
    """Return a C identifier made from the stem of a file name."""
    name = re.sub(r"[^A-Za-z0-9_]", "_", stem)
    return name if name[:1].isalpha() and not _C_KEYWORD.fullmatch(name) else f"model_{name.lstrip('_')}"
