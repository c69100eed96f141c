"""Writing output files so that a failure never leaves half of one, or destroys what was there."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path

from mrqc.errors import InputError


def check_destination(path: Path) -> None:
    """Make sure that ``path`` can be written, before any work is spent on its content.

    Raises:
        InputError: It is a directory, or the directory that it is to be in is missing or not writable.
    """
    directory = _resolved(path).parent
    if path.is_dir():
        raise InputError(f"{path}: cannot be written: it is a directory")
    if _is_stream(path):
        return
    if not directory.exists() and not directory.is_symlink():
        raise InputError(f"{path}: cannot be written: there is no directory {directory}")
    if not directory.is_dir():
        raise InputError(f"{path}: cannot be written: {directory} is not a directory")
    if not os.access(directory, os.W_OK | os.X_OK):
        raise InputError(f"{path}: cannot be written: no permission to write in {directory}")


def write_files(contents: Mapping[Path, str | bytes]) -> None:
    """Write all files, or on any failure none: each goes beside its destination first and is then renamed.

    An existing file keeps its permissions, and a symbolic link keeps pointing where it did. Text is written
    as UTF-8, line ends as they are. Pipes and devices such as ``/dev/stdout`` are written to directly.

    Raises:
        InputError: A file cannot be written; the message names it and says why.
    """
    for path in contents:
        check_destination(path)
    pending: list[tuple[Path, Path]] = []
    current = Path()
    try:
        for path, content in contents.items():
            current = path
            data = content.encode() if isinstance(content, str) else content
            if _is_stream(path):
                path.write_bytes(data)
                continue
            destination = _resolved(path)
            temporary = destination.with_name(f".{destination.name[:100]}.{os.urandom(6).hex()}.tmp")
            pending.append((temporary, destination))
            _write_new(temporary, data, destination)
        for temporary, destination in pending:
            current = destination
            os.replace(temporary, destination)
    except OSError as error:
        raise InputError(f"{current}: cannot be written: {error.strerror or error}") from error
    finally:
        for temporary, _ in pending:
            with contextlib.suppress(OSError):
                temporary.unlink()


def _write_new(temporary: Path, data: bytes, destination: Path) -> None:
    # Not tempfile: its files are private to the user, while this one gets the permissions of any new file.
    with temporary.open("xb") as file:
        file.write(data)
    if destination.exists():
        temporary.chmod(destination.stat().st_mode & 0o7777)


def _is_stream(path: Path) -> bool:
    return path.exists() and not path.is_file() and not path.is_dir()


def _resolved(path: Path) -> Path:
    """Return where the bytes go: through symbolic links, so that a link is kept and not replaced."""
    return Path(os.path.realpath(path))
