"""Immutable, content-hashed arrays: the constants of a module."""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import Any, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mrqc.ir.dtype import DType


@final
class Data:
    """A read-only array that compares and hashes by content.

    The bytes are little-endian in C order, whatever the machine, so that a hash is the same everywhere.
    """

    def __init__(self, array: NDArray[Any]) -> None:
        """Take a private copy of ``array``.

        Raises:
            ValueError: The array's dtype is none that mrqc stores.
        """
        dtype = DType.of(array.dtype)
        if dtype is None:
            raise ValueError(f"no storage type for numpy {array.dtype}")
        copy = np.array(array, order="C", copy=True)
        copy.flags.writeable = False
        self.array: NDArray[Any] = copy
        self.dtype = dtype

    @classmethod
    def of(cls, values: ArrayLike, dtype: DType) -> Data:
        """Return ``values`` stored as ``dtype``; integers must fit, nothing wraps.

        Raises:
            ValueError: A value does not fit ``dtype``.
        """
        array = np.asarray(values)
        if dtype.is_integer and array.size and (array.min() < dtype.minimum or array.max() > dtype.maximum):
            raise ValueError(f"values from {array.min()} to {array.max()} do not fit {dtype}")
        return cls(array.astype(dtype.numpy))

    @classmethod
    def from_bytes(cls, raw: bytes, dtype: DType, shape: tuple[int, ...]) -> Data:
        """Return the array whose :meth:`to_bytes` is ``raw``.

        Raises:
            ValueError: ``raw`` is not as long as the shape asks for.
        """
        array = np.frombuffer(raw, dtype=dtype.numpy.newbyteorder("<")).reshape(shape)
        return cls(array.astype(dtype.numpy))

    @property
    def shape(self) -> tuple[int, ...]:
        """Extent of every axis."""
        return self.array.shape

    def to_bytes(self) -> bytes:
        """Return the elements as little-endian bytes in C order."""
        return self.array.astype(self.array.dtype.newbyteorder("<"), copy=False).tobytes()

    @cached_property
    def digest(self) -> str:
        """SHA-256 over dtype, shape and bytes, in hexadecimal."""
        state = hashlib.sha256(f"{self.dtype}{list(self.shape)}".encode())
        state.update(self.to_bytes())
        return state.hexdigest()

    def __eq__(self, other: object) -> bool:
        """Compare by content."""
        return isinstance(other, Data) and self.digest == other.digest

    def __hash__(self) -> int:
        """Hash by content."""
        return hash(self.digest)

    def __repr__(self) -> str:
        """Return dtype, shape and the beginning of the digest."""
        return f"Data({self.dtype}{list(self.shape)}, {self.digest[:12]})"
