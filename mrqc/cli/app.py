"""The commands, registered."""

from __future__ import annotations

from typing import Annotated

import typer

from mrqc.cli import library
from mrqc.cli.ablate import ablate
from mrqc.cli.console import write_result
from mrqc.cli.evaluate import evaluate
from mrqc.cli.exit_codes import ExitCodes
from mrqc.cli.listings import passes, targets
from mrqc.cli.lower import lower
from mrqc.cli.run import run
from mrqc.cli.texts import dump, opt
from mrqc.cli.verify import verify

COMMANDS = (lower, dump, opt, run, verify, evaluate, ablate, targets, passes)
"""In the order of ``mrqc --help``."""

# Plain help: typer's rich panels would import rich on every --help and every mistyped option.
app = typer.Typer(
    name="mrqc",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        write_result(f"mrqc {library.compiler.VERSION}\n")
        raise typer.Exit


@app.callback()
def mrqc(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Move already-quantized neural networks to integer hardware with another quantization scheme."""
    del version


for command in COMMANDS:
    app.command()(command)


def main() -> None:
    """Run the command line and exit with the code that it deserves."""
    with ExitCodes():
        app(prog_name="mrqc")
