"""ONNX models of the QDQ kind (and plain float ones) as nn.* modules."""

from typing import TYPE_CHECKING

from mrqc.lazy import lazy_exports

if TYPE_CHECKING:
    from mrqc.frontends.onnx.importer import import_onnx

__all__ = ["import_onnx"]

# The onnx package takes longer to import than most commands take to run.
__getattr__, __dir__ = lazy_exports(__name__, {"import_onnx": "mrqc.frontends.onnx.importer"})
