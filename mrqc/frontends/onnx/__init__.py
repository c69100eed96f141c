"""ONNX models as nn.* modules: of the QDQ kind, with operators on codes, and plain float ones."""

from typing import TYPE_CHECKING

from mrqc.lazy import lazy_exports

if TYPE_CHECKING:
    from mrqc.frontends.onnx.importer import import_onnx

__all__ = ["import_onnx"]

# The onnx package takes longer to import than most commands take to run.
__getattr__, __dir__ = lazy_exports(__name__, {"import_onnx": "mrqc.frontends.onnx.importer"})
