"""``mrqc targets`` and ``mrqc passes``: what there is to choose from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from mrqc.cli import library
from mrqc.cli.console import write_result

if TYPE_CHECKING:
    from mrqc.targets import Target


def targets(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME|FILE.toml]", help="Show all of one target.", show_default=False),
    ] = None,
) -> None:
    """List targets, or all that one can do."""
    if name is not None:
        write_result(_details(library.targets.load_target(name)))
        return
    loaded = (library.targets.load_target(builtin) for builtin in library.targets.BUILTIN_TARGETS)
    rows = [(target.name, target.description) for target in loaded]
    write_result(library.report.format_table(rows, ("target", "description")))


def passes() -> None:
    """List passes, options, pipelines and recipes."""
    rows: list[tuple[str, ...]] = []
    for pass_ in library.passes.PASSES:
        described = library.passes.describe_options(pass_)
        texts = [f"{option}={choices} (default {default})" for option, choices, default in described]
        rows.append((pass_.name, pass_.exactness, pass_.summary, ""))
        rows += [("", "", f"  {text}", "") for text in texts]
    listed = library.report.format_table([row[:3] for row in rows], ("pass", "exactness", "what it does"))
    pipelines = library.report.format_table(list(library.passes.PIPELINES.items()), ("pipeline", "passes"))
    recipes = library.report.format_table(list(library.passes.RECIPES.items()), ("recipe", "requantize stands for"))
    write_result(f"{listed}\n{pipelines}\n{recipes}")


def _details(target: Target) -> str:
    content = target.model_dump(mode="json")
    rows: list[tuple[str, str]] = []
    sections: list[str] = []
    for key, entry in content.items():
        if isinstance(entry, dict):
            sections.append(f"\n{key}\n{_section(cast(dict[str, Any], entry))}")
        else:
            rows.append((key, str(entry)))
    return library.report.format_table(rows) + "".join(sections)


def _section(entries: dict[str, Any]) -> str:
    rows = [(key, _spell(entry)) for key, entry in entries.items() if entry not in (None, [])]
    return library.report.format_table(rows, indent="  ")


def _spell(entry: Any) -> str:
    if isinstance(entry, dict):
        return _spell_support(cast(dict[str, Any], entry))
    if isinstance(entry, bool):
        return "yes" if entry else "no"
    if isinstance(entry, list):
        items = [str(item) for item in cast(list[Any], entry)]
        return (", " if isinstance(entry[0], str) else " .. ").join(items)
    return str(entry)


def _spell_support(support: dict[str, Any]) -> str:
    """Return where an op runs, and the limits that it has there."""
    limits = {key: limit for key, limit in support.items() if key != "on" and limit not in (None, "any", False)}
    listed = ", ".join(f"{key.replace('_', ' ')}{_spell_limit(limit)}" for key, limit in limits.items())
    return f"{support['on']} ({listed})" if listed else str(support["on"])


def _spell_limit(limit: Any) -> str:
    """Return the value of a limit behind its name: nothing for one that holds or not."""
    if limit is True:
        return ""
    if isinstance(limit, dict):
        fractions = cast(dict[str, list[int]], limit).items()
        return " " + " ".join(f"{kernel} {multiplier}/2^{shift}" for kernel, (multiplier, shift) in fractions)
    return f" {_spell(limit)}"
