"""TFLite models, quantized or float, as nn.* modules."""

from typing import TYPE_CHECKING

from mrqc.lazy import lazy_exports

if TYPE_CHECKING:
    from mrqc.frontends.tflite.importer import import_tflite

__all__ = ["import_tflite"]

# The tflite package is one module for each table of the schema, and imports them all.
__getattr__, __dir__ = lazy_exports(__name__, {"import_tflite": "mrqc.frontends.tflite.importer"})
