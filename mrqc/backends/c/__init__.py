"""The C backend: one self-contained C99 file and header, and what compiles and runs them."""

from typing import TYPE_CHECKING

from mrqc.lazy import lazy_exports

if TYPE_CHECKING:
    from mrqc.backends.c.emit import emit_c
    from mrqc.backends.c.harness import CompiledKernel, KernelFailure
    from mrqc.backends.c.memory import MemoryReport, memory_report

__all__ = ["CompiledKernel", "KernelFailure", "MemoryReport", "emit_c", "memory_report"]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "CompiledKernel": "mrqc.backends.c.harness",
        "KernelFailure": "mrqc.backends.c.harness",
        "MemoryReport": "mrqc.backends.c.memory",
        "emit_c": "mrqc.backends.c.emit",
        "memory_report": "mrqc.backends.c.memory",
    },
)
