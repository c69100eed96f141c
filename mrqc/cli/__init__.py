"""The ``mrqc`` command.

It must start fast: what the commands need is imported by :mod:`mrqc.cli.library` on first use.
"""

from mrqc.cli.app import app, main

__all__ = ["app", "main"]
