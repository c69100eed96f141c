"""``mrqc dump`` and ``mrqc opt``: modules as text."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mrqc.cli import library, options
from mrqc.cli.console import write_result
from mrqc.cli.modules import PassLog, instruments, load_model
from mrqc.files import check_destination, write_files


def dump(
    model: options.Model,
    elide_constants: Annotated[
        bool,
        typer.Option("--elide-constants", help="Leave out the content of large constants; for reading only."),
    ] = False,
    output: options.TextOutput = None,
    batch: options.Batch = None,
) -> None:
    """Print MODEL as text, as it was imported."""
    _check(output)
    with library.progress.activity("starting") as shown:
        module = load_model(model, shown, batch)
        shown.describe("printing")
        text = library.compiler.print_module(module, elide_constants=elide_constants)
    _write(text, output)


def opt(
    model: options.Model,
    passes: options.Pipeline = None,
    target: options.Target = None,
    output: options.TextOutput = None,
    batch: options.Batch = None,
    print_after: options.PrintAfter = None,
    check_bits: options.CheckBits = False,
) -> None:
    """Run passes on MODEL and print it.

    Without --passes it is only read and printed.
    """
    _check(output)
    with library.progress.activity("starting") as shown:
        scheme = None if target is None else library.targets.load_target(target)
        module = load_model(model, shown, batch)
        if passes is not None:
            observed = instruments(PassLog(shown), print_after, check_bits)
            module = library.compiler.run_passes(module, passes, scheme, observed)
        shown.describe("printing")
        text = library.compiler.print_module(module)
    _write(text, output)


def _check(output: Path | None) -> None:
    if output is not None:
        check_destination(output)


def _write(text: str, output: Path | None) -> None:
    if output is None:
        write_result(text)
    else:
        write_files({output: text})
