"""Reading and writing ``.npy`` and ``.npz`` files."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrqc.errors import InputError

SAMPLES = "x"
"""The name of the samples in an ``.npz``, and of the only array of an ``.npy``."""
LABELS = "y"
"""The name of the labels in an ``.npz``."""

# What numpy and zipfile raise for a file that is cut short, damaged or something else; RuntimeError: encrypted.
_UNREADABLE = (OSError, EOFError, ValueError, KeyError, RuntimeError, zipfile.BadZipFile, zlib.error)


def read_arrays(path: Path, names: Collection[str] | None = None) -> dict[str, NDArray[Any]]:
    """Return the arrays of a file by name; an ``.npy`` holds one, called ``x``, and is mapped, not loaded.

    Args:
        path: The file; its suffix says what it is.
        names: Of an ``.npz``, read only these; absent ones are left out. None reads all.

    Raises:
        InputError: No such file, another kind of file, or one that is damaged or holds Python objects.
    """
    if path.suffix not in (".npy", ".npz"):
        raise InputError(f"{path}: arrays are read from .npy and .npz files, not {path.suffix or 'this'}")
    if path.is_dir():
        raise InputError(f"{path}: is a directory, not a file")
    if not path.exists():
        raise InputError(f"{path}: no such file")
    try:
        if path.suffix == ".npy":
            found = {SAMPLES: np.load(path, mmap_mode="r", allow_pickle=False)}
        else:
            found = _read_npz(path, names)
    except _UNREADABLE as error:
        raise InputError(f"{path}: not a readable {path.suffix} file: {_reason(error)}") from error
    return found


def npz_bytes(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Return an ``.npz`` archive of the arrays; any text is a possible name, unlike with ``numpy.savez``."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)
    return buffer.getvalue()


def npy_bytes(array: NDArray[Any]) -> bytes:
    """Return the content of an ``.npy`` file."""
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _read_npz(path: Path, names: Collection[str] | None) -> dict[str, NDArray[Any]]:
    # Opened here, because numpy leaves the file open when it turns out not to be an archive.
    with path.open("rb") as file:
        archive = np.load(file, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise ValueError("it is not a zip archive")
        return {name: archive[name] for name in archive.files if names is None or name in names}


def _reason(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    # numpy explains how to load pickles, which is no advice to follow for data.
    return "it holds Python objects or is cut short" if "pickle" in text else text
