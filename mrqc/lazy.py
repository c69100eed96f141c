"""Package exports that are imported on first use (PEP 562), so that start-up stays fast."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping


def lazy_exports(package: str, exports: Mapping[str, str]) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """Return ``__getattr__`` and ``__dir__`` of a package whose names live in modules not yet imported.

    Args:
        package: The package's ``__name__``.
        exports: Exported name to the full name of the module that defines it; a name equal to the
            last part of its module's name exports the module itself.
    """

    def get_attribute(name: str) -> object:
        module_name = exports.get(name)
        if module_name is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = importlib.import_module(module_name)
        if module_name.rpartition(".")[2] == name and not hasattr(module, name):
            return module
        return getattr(module, name)

    def directory() -> list[str]:
        return sorted(exports)

    return get_attribute, directory
