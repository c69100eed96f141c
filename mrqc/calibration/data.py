"""Data sets: samples of one model input with their labels, read batch by batch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mrqc.calibration.arrays import LABELS, SAMPLES, read_arrays
from mrqc.calibration.image_folder import open_image_folder
from mrqc.calibration.input_codes import InputConverter, PixelNormalization
from mrqc.errors import InputError
from mrqc.ir.graph import Module
from mrqc.ir.op import Value

_BATCH_BYTES = 8 << 20
_LARGEST_BATCH = 64


class SampleSource(Protocol):
    """Where samples come from, in the form that the file has them."""

    def __len__(self) -> int:
        """Return how many samples there are."""
        ...

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Return samples ``start`` to ``stop``, N first.

        Raises:
            InputError: A sample cannot be read.
        """
        ...


@dataclass(frozen=True, slots=True)
class ArraySource:
    """Samples of an array file; N first."""

    array: NDArray[Any]

    def __len__(self) -> int:
        """Return how many samples there are."""
        return len(self.array)

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Return samples ``start`` to ``stop``."""
        return self.array[start:stop]


@dataclass(frozen=True, slots=True)
class Batch:
    """Consecutive samples.

    Attributes:
        samples: In the dtype and layout of the model's input, N first.
        labels: One class each, or None where the data set has none.
    """

    samples: NDArray[Any]
    labels: NDArray[np.int64] | None


@dataclass(frozen=True, slots=True)
class DataSet:
    """Samples for one input of a model.

    Attributes:
        path: Where they come from.
        source: The samples as the file has them.
        labels: One class for each sample, or None.
        converter: From the file's form to the input's.
    """

    path: Path
    source: SampleSource
    labels: NDArray[np.int64] | None
    converter: InputConverter

    def __len__(self) -> int:
        """Return how many samples there are."""
        return len(self.source)

    def batches(self, size: int, limit: int | None = None) -> Iterator[Batch]:
        """Yield the samples, at most ``limit``, in batches of ``size``; the last batch may be smaller.

        Raises:
            InputError: A sample cannot be read or does not fit the input.
        """
        count = len(self) if limit is None else min(limit, len(self))
        for start in range(0, count, size):
            stop = min(start + size, count)
            samples = self.converter.convert(self.source.read(start, stop), str(self.path))
            yield Batch(samples, None if self.labels is None else self.labels[start:stop])


def open_data(
    path: Path, value: Value, normalization: PixelNormalization | None = None, resize: bool = False
) -> DataSet:
    """Return the data set at ``path`` as samples of a model's input.

    Args:
        path: A folder of images, with ``labels.csv`` if labelled; an ``.npz`` with ``x`` and maybe ``y``;
            or an ``.npy``.
        value: The input of the original model.
        normalization: What to do to 8-bit pixels.
        resize: Whether images of a folder get the size that the input has.

    Raises:
        InputError: No such data, none of these forms, or samples that do not fit the input.
    """
    converter = InputConverter(value, normalization)
    if path.is_dir():
        folder, labels = open_image_folder(path, value, resize)
        return DataSet(path, folder, labels, converter)
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    if path.suffix not in (".npy", ".npz"):
        raise InputError(f"{path}: data is a folder of images, an .npz with x (and y), or an .npy")
    check_resize(path, resize)
    arrays = read_arrays(path, (SAMPLES, LABELS))
    if SAMPLES not in arrays:
        raise InputError(f"{path}: the file has no array {SAMPLES!r}, which holds the samples")
    samples = arrays[SAMPLES]
    if samples.ndim == 0 or len(samples) == 0:
        raise InputError(f"{path}: {SAMPLES} of shape {list(samples.shape)} holds no samples")
    labels = _checked_labels(path, arrays[LABELS], len(samples)) if LABELS in arrays else None
    # One sample is converted now, so that a wrong shape or dtype shows before any work is done.
    converter.convert(samples[:1], str(path))
    return DataSet(path, ArraySource(samples), labels, converter)


def check_resize(path: Path, resize: bool) -> None:
    """Make sure that what is to be resized are images of a folder.

    Raises:
        InputError: They are arrays.
    """
    if resize and not path.is_dir():
        raise InputError(f"{path}: --resize is for a folder of images, and these samples are arrays")


def only_input(module: Module) -> Value:
    """Return the input that a data set's samples are for.

    Raises:
        InputError: The module has several inputs beside its states, or none.
    """
    if len(module.data_inputs) != 1:
        names = ", ".join(repr(value.name) for value in module.data_inputs)
        raise InputError(f"module {module.name}: data is for a model with one input, this one has: {names}")
    return module.data_inputs[0]


def batch_size_for(value: Value) -> int:
    """Return how many samples to take at a time: a multiple of the model's own batch, a few megabytes."""
    leading = value.type.shape[0] if value.type.shape else 1
    sample_bytes = 8 * max(1, value.type.size // leading)
    return leading * max(1, min(_LARGEST_BATCH, _BATCH_BYTES // sample_bytes) // leading)


def _checked_labels(path: Path, labels: NDArray[Any], count: int) -> NDArray[np.int64]:
    if not np.issubdtype(labels.dtype, np.integer):
        raise InputError(f"{path}: {LABELS} must hold integers, one class for each sample, found {labels.dtype}")
    if labels.shape not in ((count,), (count, 1)):
        raise InputError(f"{path}: {count} samples but {LABELS} is of shape {list(labels.shape)}")
    return labels.reshape(count).astype(np.int64)
