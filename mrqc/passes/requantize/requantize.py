"""``requantize``: a named recipe of the passes in this folder."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

Recipe = Literal["fast", "default", "best"]

_START = "symmetrize,assign-scales,correct-weights,fold-rounding-error,clip-weights"
_END = "quantize-biases,absorb-zero-points,align-scales"

RECIPES: Mapping[Recipe, str] = MappingProxyType(
    {
        "fast": f"{_START},round-weights,correct-biases,{_END}",
        "default": f"{_START},round-weights,correct-biases,{_END}",
        "best": f"{_START},round-weights,correct-biases,{_END}",
    }
)
"""What re-quantizes a module: ``fast`` in seconds and without data, ``best`` in minutes."""
