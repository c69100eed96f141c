"""The textual form of modules: it reads back to an equal module, constants included."""

from typing import TYPE_CHECKING

from mrqc.lazy import lazy_exports

if TYPE_CHECKING:
    from mrqc.ir.text.printer import print_module
    from mrqc.ir.text.reader import parse_module

__all__ = ["parse_module", "print_module"]

# On first use: ``str(module)`` is this text, so the graph needs the package before the printer can need the graph.
__getattr__, __dir__ = lazy_exports(
    __name__, {"print_module": "mrqc.ir.text.printer", "parse_module": "mrqc.ir.text.reader"}
)
