"""The arrays that a caller hands to an interpreter, checked and turned into what the inputs hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mrqc.errors import Diagnostic, InputError
from mrqc.ir import Module, Value


def bind_inputs(module: Module, inputs: Mapping[str, ArrayLike] | ArrayLike) -> tuple[dict[str, NDArray[Any]], int]:
    """Return the arrays by input name, and how many batches of the module they hold.

    An integer array of exactly the input's dtype holds codes; a floating-point array holds real values and is
    quantized by the input's scale and zero point. A float input takes floating-point arrays, and keeps their
    precision. Every array may hold any multiple, the same for all, of the leading extent that the module has.

    States are inputs like others. Where none of them is given, none is returned: the batches are the runs of one
    stream then, one after the other, and :func:`initial_states` is what it begins with.

    Args:
        module: The module to run.
        inputs: By input name; or a single array for a module with one input beside its states.

    Raises:
        InputError: An input is missing, unknown, of another dtype or shape, or not a number; all are named.
    """
    subject = f"inputs of module {module.name!r}"
    named = _by_name(module, inputs, subject)
    expected = {value.name: value for value in module.inputs_for(named)}
    found = [Diagnostic(f"there is no input {name!r}") for name in named if name not in expected]
    found += [Diagnostic(f"input {name!r} is missing") for name in expected if name not in named]
    arrays = {name: np.asarray(named[name]) for name in expected if name in named}
    for name, array in arrays.items():
        found += [Diagnostic(f"input {name!r} {problem}") for problem in _problems(expected[name], array)]
    if found:
        raise InputError.collect(subject, found)
    counts = {name: _batches(expected[name], array) for name, array in arrays.items()}
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{name!r} holds {count}" for name, count in counts.items())
        raise InputError(f"{subject}: every input must hold the same number of batches, {listed}")
    return {name: _codes(expected[name], array) for name, array in arrays.items()}, max(counts.values(), default=1)


def initial_states(module: Module) -> dict[str, NDArray[Any]]:
    """Return what the states of a module are in the first run, by input name: codes, or doubles for floats."""
    inputs = {value.name: value for value in module.graph.inputs}
    values = ((inputs[state.input], state.initial) for state in module.states)
    return {value.name: _codes(value, np.full(value.type.shape, initial)) for value, initial in values}


def _by_name(module: Module, inputs: Mapping[str, ArrayLike] | ArrayLike, subject: str) -> Mapping[str, ArrayLike]:
    if isinstance(inputs, Mapping):
        return inputs
    names = [value.name for value in module.data_inputs]
    if len(names) != 1:
        raise InputError(f"{subject}: one array was given for the inputs {', '.join(map(repr, names)) or '(none)'}")
    return {names[0]: inputs}


def _problems(value: Value, array: NDArray[Any]) -> Iterator[str]:
    type_ = value.type
    if np.issubdtype(array.dtype, np.floating):
        if type_.dtype.is_integer and type_.quantization is None:
            yield f"holds plain {type_.dtype} integers, found {array.dtype}"
        elif type_.dtype.is_integer and np.isnan(array).any():
            yield "holds values that are not a number"
    elif array.dtype != type_.dtype.numpy:
        wanted = f"{type_.dtype.numpy} codes or floating-point values" if type_.dtype.is_integer else "floats"
        yield f"takes {wanted}, found {array.dtype}"
    if not _shape_fits(type_.shape, array.shape):
        yield f"has shape {_shape_text(type_.shape)}, found {list(array.shape)}"


def _shape_fits(expected: tuple[int, ...], found: tuple[int, ...]) -> bool:
    if not expected or len(found) != len(expected):
        return found == expected
    return found[1:] == expected[1:] and found[0] > 0 and found[0] % expected[0] == 0


def _shape_text(shape: tuple[int, ...]) -> str:
    if not shape:
        return "[]"
    batch = "N" if shape[0] == 1 else f"N*{shape[0]}"
    return f"[{', '.join([batch, *map(str, shape[1:])])}]"


def _batches(value: Value, array: NDArray[Any]) -> int:
    return array.shape[0] // value.type.shape[0] if value.type.shape else 1


def _codes(value: Value, array: NDArray[Any]) -> NDArray[Any]:
    dtype, quantization = value.type.dtype, value.type.quantization
    if not dtype.is_integer:
        return array.astype(np.float64, copy=False)
    if quantization is None or not np.issubdtype(array.dtype, np.floating):
        return array
    if quantization.axis == 0:
        # The scales run along one batch of the module; each batch is quantized alike.
        batches = array.reshape(-1, *value.type.shape)
        codes = [quantization.quantize(batch.astype(np.float64), dtype.minimum, dtype.maximum) for batch in batches]
        return np.concatenate(codes).astype(dtype.numpy)
    return quantization.quantize(array.astype(np.float64), dtype.minimum, dtype.maximum).astype(dtype.numpy)
