"""``mrqc lower``: the main job, from a model to a file for a target."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mrqc.cli import library, options
from mrqc.cli.console import write_diagnostic, write_json
from mrqc.cli.emission import MODEL_FORMATS, Emitter, OnnxForm, choose_emitter, emitted_files, output_paths
from mrqc.cli.modules import Images, PassLog, calibration_of, instruments, load_model
from mrqc.errors import TargetError, UsageError
from mrqc.files import check_destination, write_files

if TYPE_CHECKING:
    from mrqc.backends.c import MemoryReport
    from mrqc.ir.graph import Module
    from mrqc.targets import Target


_OUTPUT = typer.Option(
    "-o", "--output", metavar="OUT", help="kernel.c also writes kernel.h; or net.mrq, net.onnx, net.tflite."
)
_EMIT = typer.Option("--emit", help="What to write; by default what OUT's suffix says.")
_ONNX_FORM = typer.Option("--onnx-form", help="Float operators between Q and DQ, or operators over codes.")


def lower(
    model: options.Model,
    output: Annotated[Path, _OUTPUT],
    target: options.Target = None,
    emit: Annotated[Emitter | None, _EMIT] = None,
    onnx_form: Annotated[OnnxForm, _ONNX_FORM] = OnnxForm.QDQ,
    calib: options.Calib = None,
    calib_limit: options.CalibLimit = None,
    mean: options.Mean = None,
    std: options.Std = None,
    resize: options.Resize = False,
    recipe: options.RecipeChoice = None,
    cpu: options.Cpu = "generic",
    io: Annotated[
        options.InputOutput, typer.Option("--io", help="Whose scales inputs and outputs have.")
    ] = options.InputOutput.TARGET,
    passes: options.Pipeline = None,
    print_after: options.PrintAfter = None,
    check_bits: options.CheckBits = False,
    batch: options.Batch = None,
    json: options.Json = False,
) -> None:
    """Lower MODEL to a target, as C or text, or write it in the target's scheme as ONNX or TFLite.

    The result is proved to be what the target can run; nothing is written otherwise. Without a target, ONNX and
    TFLite have MODEL in the scheme that it has.
    """
    start = time.perf_counter()
    options.check_cpu(cpu)
    calibration = calibration_of(target, calib, calib_limit, recipe, Images.of_calibration(calib, mean, std, resize))
    if passes is not None and recipe is not None:
        raise UsageError("--recipe and --passes: give one of them")
    emitter = choose_emitter(output, emit)
    for path in output_paths(output, emitter):
        check_destination(path)
    with library.progress.activity("starting") as shown:
        scheme = _scheme(target, emitter)
        lowered = load_model(model, shown, batch)
        samples = calibration.samples(lowered)
        log = PassLog(shown)
        if scheme is not None:
            lower_to = library.compiler.requantize if emitter in MODEL_FORMATS else library.compiler.lower
            watch = instruments(log, print_after, check_bits)
            choice = calibration.recipe
            lowered = lower_to(lowered, scheme, samples, io=io.value, passes=passes, recipe=choice, instruments=watch)
        shown.describe(f"writing {output.name}")
        files = emitted_files(lowered, output, emitter, cpu, onnx_form)
        facts = _facts(lowered, log)
        write_files(files)
    facts["seconds"] = round(time.perf_counter() - start, 3)
    if json:
        write_json({**facts, "files": [str(path) for path in files]})
    else:
        write_diagnostic(_summary(lowered, facts, files))


def _scheme(target: str | None, emitter: Emitter) -> Target | None:
    """Return the target, or None where a model is written in the scheme that it has.

    Raises:
        UsageError: What is to be written cannot do without one.
    """
    if target is not None:
        return library.targets.load_target(target)
    if emitter not in MODEL_FORMATS:
        raise UsageError(f"--target is needed for {emitter} (see mrqc targets)")
    return None


def _facts(lowered: Module, log: PassLog) -> dict[str, object]:
    memory = _memory(lowered)
    facts = library.report.tensor_facts
    inputs = {value.name: value for value in lowered.graph.inputs}
    states = [
        {**facts(state.input, inputs[state.input].type), "next": state.output, "initial": state.initial}
        for state in lowered.states
    ]
    return {
        "inputs": [facts(value.name, value.type) for value in lowered.data_inputs],
        "outputs": [facts(output.name, output.value.type) for output in lowered.data_outputs],
        **({"states": states} if states else {}),
        "arena_bytes": None if memory is None else memory.arena_bytes,
        "constant_bytes": None if memory is None else memory.constant_bytes,
        "seconds": 0.0,
        "passes": [{**asdict(record), "seconds": round(record.seconds, 6)} for record in log.records],
    }


def _memory(lowered: Module) -> MemoryReport | None:
    """Return what the C takes, or None where ``--passes`` stopped at a module that is not C yet."""
    if not library.bit_check.is_integer_module(lowered):
        return None
    try:
        return library.c.memory_report(lowered)
    except TargetError:
        return None


def _summary(lowered: Module, facts: dict[str, object], files: Iterable[Path]) -> str:
    describe = library.report.describe_tensor
    kept = {state.input for state in lowered.states}
    rows = [("input", *describe(value.name, value.type)) for value in lowered.data_inputs]
    rows += [("output", *describe(output.name, output.value.type)) for output in lowered.data_outputs]
    rows += [("state", *describe(value.name, value.type)) for value in lowered.graph.inputs if value.name in kept]
    table = library.report.format_table(rows, indent="  ")
    target = "" if lowered.fact("target") is None else f" for {lowered.fact('target')}"
    memory = f"arena {facts['arena_bytes']} bytes, constants {facts['constant_bytes']} bytes, "
    return (
        f"{lowered.name}{target}: {', '.join(str(path) for path in files)}\n{table}"
        f"  {'' if facts['arena_bytes'] is None else memory}{facts['seconds']:.1f} s\n"
    )
