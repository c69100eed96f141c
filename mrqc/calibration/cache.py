"""Arrays on disk by content hash: what a teacher has computed once need not be computed again."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from mrqc.calibration.arrays import npz_bytes, read_arrays
from mrqc.errors import InputError
from mrqc.files import write_files

VARIABLE = "MRQC_CACHE"
"""The environment variable that names the folder; ``off`` turns the cache off."""


@dataclass(frozen=True, slots=True)
class ArrayCache:
    """A folder of ``.npz`` files, one for each key.

    It never fails: what cannot be read is not there, what cannot be written is not kept.

    Attributes:
        folder: Where the files are; None keeps nothing.
    """

    folder: Path | None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> ArrayCache:
        """Return the cache in ``$MRQC_CACHE``, else in ``mrqc`` of the user's cache folder (XDG)."""
        chosen = environment.get(VARIABLE, "")
        if chosen == "off":
            return cls(None)
        if chosen:
            return cls(Path(chosen))
        caches = environment.get("XDG_CACHE_HOME", "")
        # The XDG specification has relative paths ignored.
        if caches and Path(caches).is_absolute():
            return cls(Path(caches) / "mrqc")
        home = environment.get("HOME", "")
        return cls(Path(home) / ".cache" / "mrqc") if home else cls(None)

    def load(self, key: str) -> dict[str, NDArray[Any]] | None:
        """Return the arrays that were stored under a key, or None: absent, damaged, or not readable."""
        if self.folder is None:
            return None
        try:
            return read_arrays(self._path(self.folder, key))
        except (InputError, OSError, MemoryError):
            # A damaged header can ask for any amount of memory.
            return None

    def store(self, key: str, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Keep arrays under a key, whole or not at all."""
        if self.folder is None:
            return
        with contextlib.suppress(OSError, InputError):
            self.folder.mkdir(parents=True, exist_ok=True)
            write_files({self._path(self.folder, key): npz_bytes(arrays)})

    @staticmethod
    def _path(folder: Path, key: str) -> Path:
        return folder / f"{key}.npz"
