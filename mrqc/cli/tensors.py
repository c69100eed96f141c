"""Arrays in and out of ``mrqc run``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrqc.calibration import InputConverter, npy_bytes, npz_bytes, read_arrays
from mrqc.errors import Diagnostic, InputError, UsageError
from mrqc.ir.graph import Module
from mrqc.ir.types import TensorType
from mrqc.report import describe_tensor, tensor_facts

_SHOWN_ELEMENTS = 16


def read_inputs(path: Path, module: Module) -> tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]]]:
    """Return the arrays of a file as the module takes them, and the real values they stand for, by input.

    An ``.npz`` has an array for each input, under its name; for a module with one input, ``x`` will do. An
    ``.npy`` is the array of the only input. Without arrays for its states, the samples of a module are one stream.

    Raises:
        InputError: Not readable, inputs missing or unknown, wrong shapes or dtypes.
    """
    arrays = read_arrays(path)
    names = [value.name for value in module.inputs_for(arrays)]
    if len(names) == 1 and "x" in arrays and (names[0] not in arrays or names == ["x"]):
        # A data set: its labels, y, are nothing to run on.
        arrays = {names[0]: arrays["x"]}
    problems = [Diagnostic(f"there is no array for input {name!r}") for name in names if name not in arrays]
    problems += [Diagnostic(f"the model has no input {name!r}") for name in arrays if name not in names]
    if problems:
        raise InputError.collect(f"{path}: the inputs are {', '.join(map(repr, names))}", problems)
    converters = {value.name: InputConverter(value) for value in module.graph.inputs}
    converted = {name: converters[name].convert(arrays[name], str(path)) for name in names}
    return converted, {name: converters[name].real_values(array) for name, array in converted.items()}


def check_array_file(path: Path, arrays: int) -> None:
    """Make sure that a file can take so many arrays.

    Raises:
        UsageError: The suffix is neither ``.npz`` nor, for one array, ``.npy``.
    """
    if path.suffix == ".npz" or (path.suffix == ".npy" and arrays == 1):
        return
    if path.suffix == ".npy":
        raise UsageError(f"-o {path}: an .npy holds one array and there are several; use an .npz")
    raise UsageError(f"-o {path}: arrays are written to .npz or .npy files")


def array_file(path: Path, arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Return the content of an ``.npz``, or of an ``.npy`` with the only array."""
    return npz_bytes(arrays) if path.suffix == ".npz" else npy_bytes(next(iter(arrays.values())))


def types_by_name(module: Module) -> dict[str, TensorType]:
    """Return the types of all values and outputs; an output's name comes before a value's."""
    values = {value.name: value.type for value in module.graph.values()}
    return values | {output.name: output.value.type for output in module.graph.outputs}


def arrays_as_json(arrays: Mapping[str, NDArray[Any]], types: Mapping[str, TensorType]) -> list[object]:
    """Return every array with its facts and its elements as nested lists; shapes are those of the arrays.

    JSON has no infinity and no not-a-number: they become null.
    """
    return [
        {**tensor_facts(name, types[name]), "shape": list(array.shape), "values": _as_lists(array)}
        for name, array in arrays.items()
    ]


def _as_lists(array: NDArray[Any]) -> object:
    strange = ~np.isfinite(array)
    if strange.any():
        array = array.astype(object)
        array[strange] = None
    return array.tolist()


def describe_arrays(arrays: Mapping[str, NDArray[Any]], types: Mapping[str, TensorType]) -> Iterator[tuple[str, ...]]:
    """Yield the cells of a table: name, type, quantization, and all elements or their range."""
    for name, array in arrays.items():
        _, _, meaning = describe_tensor(name, types[name])
        shape = f"{types[name].dtype} [{', '.join(map(str, array.shape))}]"
        if array.size <= _SHOWN_ELEMENTS:
            content = np.array2string(array.ravel(), separator=", ", max_line_width=1000, precision=6)
        else:
            content = f"{array.min():g} .. {array.max():g}"
        yield (name, shape, meaning, content)
