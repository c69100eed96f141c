"""The textual form of modules: it reads back to an equal module, constants included."""

from mrqc.ir.text.printer import print_module
from mrqc.ir.text.reader import parse_module

__all__ = ["parse_module", "print_module"]
