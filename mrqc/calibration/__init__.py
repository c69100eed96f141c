"""Data for models: readers for samples and labels, and the statistics of errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mrqc.lazy import lazy_exports

if TYPE_CHECKING:
    from mrqc.calibration.arrays import npy_bytes, npz_bytes, read_arrays
    from mrqc.calibration.data import ArraySource, Batch, DataSet, SampleSource, batch_size_for, only_input, open_data
    from mrqc.calibration.input_codes import InputConverter, PixelNormalization
    from mrqc.calibration.statistics import (
        cosine_similarity,
        kl_divergences,
        mean_absolute_error,
        signal_to_noise_db,
        top_indices,
    )

__all__ = [
    "ArraySource",
    "Batch",
    "DataSet",
    "InputConverter",
    "PixelNormalization",
    "SampleSource",
    "batch_size_for",
    "cosine_similarity",
    "kl_divergences",
    "mean_absolute_error",
    "npy_bytes",
    "npz_bytes",
    "only_input",
    "open_data",
    "read_arrays",
    "signal_to_noise_db",
    "top_indices",
]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "ArraySource": "mrqc.calibration.data",
        "Batch": "mrqc.calibration.data",
        "DataSet": "mrqc.calibration.data",
        "InputConverter": "mrqc.calibration.input_codes",
        "PixelNormalization": "mrqc.calibration.input_codes",
        "SampleSource": "mrqc.calibration.data",
        "batch_size_for": "mrqc.calibration.data",
        "cosine_similarity": "mrqc.calibration.statistics",
        "kl_divergences": "mrqc.calibration.statistics",
        "mean_absolute_error": "mrqc.calibration.statistics",
        "npy_bytes": "mrqc.calibration.arrays",
        "npz_bytes": "mrqc.calibration.arrays",
        "only_input": "mrqc.calibration.data",
        "open_data": "mrqc.calibration.data",
        "read_arrays": "mrqc.calibration.arrays",
        "signal_to_noise_db": "mrqc.calibration.statistics",
        "top_indices": "mrqc.calibration.statistics",
    },
)
