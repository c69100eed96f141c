"""Compiles an emitted kernel with the machine's C compiler and runs it."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mrqc.backends.c.emit import emit_c
from mrqc.backends.c.harness_main import main_text
from mrqc.backends.inputs import bind_inputs
from mrqc.errors import InputError, MrqcError
from mrqc.ir import Module, TensorType

STRICT_FLAGS = ("-std=c99", "-pedantic", "-Wall", "-Wextra", "-Wconversion", "-Werror")
"""Every emitted file compiles without a word under these."""

SANITIZER_FLAGS = ("-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")

_COMPILERS = ("gcc", "cc", "clang")


class KernelFailure(MrqcError):  # noqa: N818 - "failure" says whose fault it is: not the user's
    """An emitted kernel does not compile, crashes, or writes where it must not: a bug of mrqc."""


def find_compiler(wanted: str | None = None) -> list[str]:
    """Return the command of a C compiler: ``wanted``, else ``$CC``, else the first of gcc, cc, clang.

    Raises:
        InputError: There is none.
    """
    choices = [wanted] if wanted else [os.environ["CC"]] if os.environ.get("CC") else list(_COMPILERS)
    for choice in choices:
        command = shlex.split(choice)
        if command and shutil.which(command[0]):
            return command
    hint = "install one, or name it in the environment variable CC"
    raise InputError(f"no C compiler found under the name {' or '.join(choices)}; {hint}")


class CompiledKernel:
    """The C of a module as a program: ``run`` it, and close it to remove its folder.

    >>> with CompiledKernel(module) as kernel:
    ...     outputs = kernel.run({"input": codes})
    """

    def __init__(
        self,
        module: Module,
        name: str = "kernel",
        *,
        compiler: str | None = None,
        sanitize: bool = False,
        optimization: str = "-O2",
        directory: Path | None = None,
        extra_flags: Sequence[str] = (),
    ) -> None:
        """Emit and compile.

        Args:
            module: A lowered module.
            name: Of the kernel and its files.
            compiler: Command of the C compiler; :func:`find_compiler` otherwise.
            sanitize: Stop at the first undefined behaviour or access outside of an array; the arena is misaligned.
            optimization: The optimization flag.
            directory: Where the sources and the program stay; a temporary folder otherwise.
            extra_flags: More flags for the compiler.

        Raises:
            InputError: There is no such compiler.
            TargetError: The module cannot be emitted as C.
            KernelFailure: The C does not compile without a warning.
        """
        command = find_compiler(compiler)
        sources = emit_c(module, name)
        self._module = module
        self._temporary = None if directory else tempfile.TemporaryDirectory(prefix="mrqc-")
        self._directory = Path(self._temporary.name) if self._temporary else Path(directory or "")
        self._directory.mkdir(parents=True, exist_ok=True)
        sources["main.c"] = main_text(module, name, misaligned=sanitize)
        for file, text in sources.items():
            (self._directory / file).write_text(text, encoding="ascii")
        flags = [*STRICT_FLAGS, optimization, *(SANITIZER_FLAGS if sanitize else ()), *extra_flags]
        self._program = self._directory / f"{name}_main"
        try:
            _run([*command, *flags, "-o", str(self._program), f"{name}.c", "main.c"], self._directory)
        except KernelFailure:
            self.close()
            raise

    def run(self, inputs: Mapping[str, ArrayLike] | ArrayLike) -> dict[str, NDArray[Any]]:
        """Return the outputs by their names, for any number of batches, as the simulator does.

        Args:
            inputs: An array for each input's name, or a single array for a module with one input. Without the states
                of the module the batches are one stream.

        Raises:
            InputError: The arrays do not fit the inputs.
            KernelFailure: The program stopped, or wrote outside of its buffers.
        """
        arrays, batches = bind_inputs(self._module, inputs)
        outputs, _ = self._execute(arrays, batches, repeats=0)
        return outputs

    def seconds_per_sample(self, inputs: Mapping[str, ArrayLike] | ArrayLike, repeats: int = 10) -> float:
        """Return the shortest processor time of ``repeats`` calls, on the last batch of ``inputs``.

        Raises:
            InputError: The arrays do not fit the inputs.
            KernelFailure: As in :meth:`run`.
        """
        arrays, batches = bind_inputs(self._module, inputs)
        _, printed = self._execute(arrays, batches, repeats)
        return float(printed)

    def close(self) -> None:
        """Remove the temporary folder."""
        if self._temporary is not None:
            self._temporary.cleanup()

    def __enter__(self) -> Self:
        """Return the kernel itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def _execute(
        self, arrays: Mapping[str, NDArray[Any]], batches: int, repeats: int
    ) -> tuple[dict[str, NDArray[Any]], str]:
        graph = self._module.graph
        with tempfile.TemporaryDirectory(prefix="run-", dir=self._directory) as folder:
            source, destination = Path(folder) / "inputs", Path(folder) / "outputs"
            kept = [state.input for state in self._module.states if state.input in arrays]
            names = kept + [value.name for value in self._module.data_inputs]
            rows = [_as_rows(arrays[name], batches) for name in names]
            np.concatenate([np.empty((batches, 0), np.uint8), *rows], axis=1).tofile(source)
            command = [str(self._program), str(source), str(destination), str(batches), str(repeats)]
            command += [] if len(kept) == len(self._module.states) else ["stream"]
            printed = _run(command, self._directory)
            results = np.fromfile(destination, np.uint8).reshape(batches, -1)
        ends = np.cumsum([output.value.type.bytes for output in graph.outputs])
        parts = np.split(results, ends[:-1], axis=1)
        return {
            output.name: _from_rows(part, output.value.type) for output, part in zip(graph.outputs, parts, strict=True)
        }, printed


def _as_rows(array: NDArray[Any], batches: int) -> NDArray[np.uint8]:
    return np.ascontiguousarray(array).reshape(batches, -1).view(np.uint8)


def _from_rows(rows: NDArray[np.uint8], type_: TensorType) -> NDArray[Any]:
    array = np.ascontiguousarray(rows).view(type_.dtype.numpy)
    if not type_.shape:
        return array.reshape(() if len(rows) == 1 else (len(rows),))
    return array.reshape(len(rows) * type_.shape[0], *type_.shape[1:])


def _run(command: Sequence[str], directory: Path) -> str:
    environment = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0"}
    result = subprocess.run(
        command, cwd=directory, env=environment, capture_output=True, text=True, errors="replace", check=False
    )
    if result.returncode != 0:
        told = (result.stderr or result.stdout).strip()
        raise KernelFailure(f"{shlex.join(command)} ended with {result.returncode}:\n{told}")
    return result.stdout
