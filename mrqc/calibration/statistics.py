"""How far apart two tensors, or two models' answers, are."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray


def signal_to_noise_db(reference: NDArray[Any], approximation: NDArray[Any]) -> float:
    """Return ``10 log10(sum(reference^2) / sum((reference - approximation)^2))`` in decibels.

    Infinite where the two are equal, minus infinite where only the reference is zero.
    """
    exact = reference.astype(np.float64)
    noise = float(np.sum((exact - approximation) ** 2))
    signal = float(np.sum(exact**2))
    if noise == 0:
        return math.inf
    return 10 * math.log10(signal / noise) if signal > 0 else -math.inf


def mean_absolute_error(reference: NDArray[Any], approximation: NDArray[Any]) -> float:
    """Return the mean of ``|reference - approximation|``, in the unit of the arguments."""
    return float(np.mean(np.abs(reference.astype(np.float64) - approximation)))


def cosine_similarity(reference: NDArray[Any], approximation: NDArray[Any]) -> float:
    """Return the cosine of the angle between the two as vectors; 1 if both are zero, 0 if one is."""
    first, second = reference.astype(np.float64).ravel(), approximation.astype(np.float64).ravel()
    lengths = float(np.linalg.norm(first)), float(np.linalg.norm(second))
    if 0.0 in lengths:
        return 1.0 if lengths == (0.0, 0.0) else 0.0
    return float(first @ second) / (lengths[0] * lengths[1])


def kl_divergences(reference_logits: NDArray[Any], logits: NDArray[Any]) -> NDArray[np.float64]:
    """Return ``sum(p * log(p / q))`` in nats for each row, p and q being the softmax of the two rows.

    Args:
        reference_logits: Real numbers of shape rows, classes.
        logits: The same shape.
    """
    log_p, log_q = log_softmax(reference_logits), log_softmax(logits)
    divergence: NDArray[np.float64] = np.sum(np.exp(log_p) * (log_p - log_q), axis=-1)
    # Never negative in exact arithmetic.
    return np.maximum(divergence, 0.0)


def log_softmax(logits: NDArray[Any]) -> NDArray[np.float64]:
    """Return ``x - log(sum(exp(x)))`` along the last axis, without overflow."""
    shifted = logits.astype(np.float64) - np.max(logits, axis=-1, keepdims=True)
    result: NDArray[np.float64] = shifted - np.log(np.sum(np.exp(shifted), axis=-1, keepdims=True))
    return result


def top_indices(scores: NDArray[Any], count: int) -> NDArray[np.int64]:
    """Return the classes of the ``count`` greatest scores of each row, best first; of equals the lowest."""
    order: NDArray[np.int64] = np.argsort(-scores.astype(np.float64), axis=-1, kind="stable")
    return order[..., :count]
