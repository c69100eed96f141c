"""Writes ``nn`` modules as ONNX files."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from mrqc.lazy import lazy_exports

if TYPE_CHECKING:
    from mrqc.backends.onnx.export import export_onnx
    from mrqc.backends.onnx.writer import Form

__all__ = ["Form", "export_onnx"]

__getattr__: Callable[[str], object]
__dir__: Callable[[], list[str]]
__getattr__, __dir__ = lazy_exports(
    __name__, {"Form": "mrqc.backends.onnx.writer", "export_onnx": "mrqc.backends.onnx.export"}
)
