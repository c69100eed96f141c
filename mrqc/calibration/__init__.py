"""Data for models: readers for samples and labels, statistics of errors, and the original as a teacher."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mrqc.lazy import lazy_exports

if TYPE_CHECKING:
    from mrqc.calibration.arrays import npy_bytes, npz_bytes, read_arrays
    from mrqc.calibration.cache import ArrayCache
    from mrqc.calibration.data import ArraySource, Batch, DataSet, SampleSource, batch_size_for, only_input, open_data
    from mrqc.calibration.input_codes import InputConverter, PixelNormalization
    from mrqc.calibration.observers import CodeHistogram, Moments, ValueStatistics
    from mrqc.calibration.samples import DEFAULT_LIMIT, CalibrationSamples, calibration_samples
    from mrqc.calibration.statistics import (
        cosine_similarity,
        kl_divergences,
        mean_absolute_error,
        signal_to_noise_db,
        top_indices,
    )
    from mrqc.calibration.synthetic import synthetic_inputs
    from mrqc.calibration.teacher import Progress, Teacher

__all__ = [
    "DEFAULT_LIMIT",
    "ArrayCache",
    "ArraySource",
    "Batch",
    "CalibrationSamples",
    "CodeHistogram",
    "DataSet",
    "InputConverter",
    "Moments",
    "PixelNormalization",
    "Progress",
    "SampleSource",
    "Teacher",
    "ValueStatistics",
    "batch_size_for",
    "calibration_samples",
    "cosine_similarity",
    "kl_divergences",
    "mean_absolute_error",
    "npy_bytes",
    "npz_bytes",
    "only_input",
    "open_data",
    "read_arrays",
    "signal_to_noise_db",
    "synthetic_inputs",
    "top_indices",
]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "DEFAULT_LIMIT": "mrqc.calibration.samples",
        "ArrayCache": "mrqc.calibration.cache",
        "ArraySource": "mrqc.calibration.data",
        "Batch": "mrqc.calibration.data",
        "CalibrationSamples": "mrqc.calibration.samples",
        "CodeHistogram": "mrqc.calibration.observers",
        "DataSet": "mrqc.calibration.data",
        "InputConverter": "mrqc.calibration.input_codes",
        "Moments": "mrqc.calibration.observers",
        "PixelNormalization": "mrqc.calibration.input_codes",
        "Progress": "mrqc.calibration.teacher",
        "SampleSource": "mrqc.calibration.data",
        "Teacher": "mrqc.calibration.teacher",
        "ValueStatistics": "mrqc.calibration.observers",
        "batch_size_for": "mrqc.calibration.data",
        "calibration_samples": "mrqc.calibration.samples",
        "cosine_similarity": "mrqc.calibration.statistics",
        "kl_divergences": "mrqc.calibration.statistics",
        "mean_absolute_error": "mrqc.calibration.statistics",
        "npy_bytes": "mrqc.calibration.arrays",
        "npz_bytes": "mrqc.calibration.arrays",
        "only_input": "mrqc.calibration.data",
        "open_data": "mrqc.calibration.data",
        "read_arrays": "mrqc.calibration.arrays",
        "signal_to_noise_db": "mrqc.calibration.statistics",
        "synthetic_inputs": "mrqc.calibration.synthetic",
        "top_indices": "mrqc.calibration.statistics",
    },
)
