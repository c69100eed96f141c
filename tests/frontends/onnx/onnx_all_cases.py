"""Every case of every ONNX operator."""

from __future__ import annotations

import onnx_cases_contraction
import onnx_cases_qdq
import onnx_cases_qlinear
from onnx_single_ops import ONNX_REGISTRY, OnnxCases

CASE_MODULES = (onnx_cases_contraction, onnx_cases_qdq, onnx_cases_qlinear)
"""The modules that fill the registry."""

ALL_ONNX_CASES: tuple[OnnxCases, ...] = tuple(ONNX_REGISTRY)
"""In the order of registration."""
