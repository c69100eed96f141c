"""Writes ``nn`` modules as TFLite files."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from mrqc.lazy import lazy_exports

if TYPE_CHECKING:
    from mrqc.backends.tflite.export import export_tflite

__all__ = ["export_tflite"]

__getattr__: Callable[[str], object]
__dir__: Callable[[], list[str]]
__getattr__, __dir__ = lazy_exports(__name__, {"export_tflite": "mrqc.backends.tflite.export"})
