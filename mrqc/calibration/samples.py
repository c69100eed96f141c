"""The unlabelled inputs of a calibration, from wherever they come."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mrqc.backends.inputs import bind_inputs, initial_states
from mrqc.backends.reference import ReferenceProgram
from mrqc.calibration.arrays import SAMPLES, read_arrays
from mrqc.calibration.data import ArraySource, DataSet, SampleSource, check_resize, only_input, open_data
from mrqc.calibration.input_codes import InputConverter, PixelNormalization
from mrqc.calibration.synthetic import synthetic_batch
from mrqc.errors import Diagnostic, InputError, UsageError
from mrqc.ir.graph import Module
from mrqc.ir.op import Value

DEFAULT_LIMIT = 128
"""How many samples are taken of a larger data set: more change statistics by less than rounding does."""
SYNTHETIC_COUNT = 32

_KEPT_BYTES = 256 << 20
"""Samples that take less are read once and kept."""
_READ_BYTES = 8 << 20


class InputSource(Protocol):
    """Samples of one input, N first."""

    def read(self, rows: NDArray[np.intp]) -> NDArray[Any]:
        """Return the samples of these numbers, in the dtype of the input.

        Raises:
            InputError: A sample cannot be read or does not fit the input.
        """
        ...


@dataclass(frozen=True, eq=False)
class CalibrationSamples:
    """Samples for every input of a module, read in bounded memory.

    A sample is one batch of the module as it stands; mostly that batch is 1.

    Attributes:
        module: The module that they are for; its inputs say what the codes mean.
        sources: One for each input of the module, in order.
        rows: For each sample and each row of the module's batch, which sample of the source it is; one array an input.
        name: Where they come from, for messages.
    """

    module: Module
    sources: tuple[InputSource, ...]
    rows: tuple[NDArray[np.intp], ...]
    name: str
    _memory: dict[str, Any] = field(default_factory=lambda: dict[str, Any](), repr=False)

    @classmethod
    def open(
        cls,
        path: str | Path,
        module: Module,
        normalization: PixelNormalization | None = None,
        limit: int | None = DEFAULT_LIMIT,
        resize: bool = False,
    ) -> CalibrationSamples:
        """Return the samples of a folder of images, an ``.npz`` or an ``.npy``; labels play no part.

        Args:
            path: As :func:`open_data` takes it; for a module of several inputs an ``.npz`` with an array for each,
                under its name. Samples of a module with states are one stream, unless there are arrays for the
                states as well.
            module: The module to calibrate, as it was imported.
            normalization: What to do to 8-bit pixels.
            limit: Take no more than so many samples, evenly over all that there are; None takes all.
            resize: Whether images of a folder get the size that the input has.

        Raises:
            InputError: No such data, none of these forms, or samples that do not fit the inputs.
            UsageError: The limit is not positive.
        """
        path = Path(path)
        inputs = module.data_inputs
        if len(inputs) == 1 and not _has_array(path, inputs[0].name):
            return cls.of_data_set(open_data(path, _with_rows(inputs[0]), normalization, resize), module, limit)
        if path.is_dir():
            raise InputError(f"{path}: images are for a model with one input, this one has {_names(module)}")
        check_resize(path, resize)
        # An archive may hold more than the inputs: labels, or what the model answers.
        arrays = read_arrays(path, tuple(value.name for value in module.graph.inputs))
        return cls._of_arrays(module, arrays, str(path), normalization, limit)

    @classmethod
    def of(
        cls,
        arrays: Mapping[str, ArrayLike] | ArrayLike,
        module: Module,
        normalization: PixelNormalization | None = None,
        limit: int | None = DEFAULT_LIMIT,
    ) -> CalibrationSamples:
        """Return samples given as arrays, N first: by input name, or one array for a module with one input.

        An array of the input's integer dtype holds codes, a floating-point array real values, one of uint8 pixels:
        as :class:`InputConverter` has it. No more than ``limit`` are taken, evenly over all; None takes all.

        Raises:
            InputError: An input is missing or unknown, or its array does not fit; all are named.
            UsageError: The limit is not positive.
        """
        if not isinstance(arrays, Mapping):
            if len(module.data_inputs) != 1:
                raise InputError(f"calibration samples: one array was given for the inputs {_names(module)}")
            arrays = {module.data_inputs[0].name: arrays}
        found = {name: np.asarray(array) for name, array in arrays.items()}
        return cls._of_arrays(module, found, "calibration samples", normalization, limit)

    @classmethod
    def of_data_set(cls, data: DataSet, module: Module, limit: int | None = DEFAULT_LIMIT) -> CalibrationSamples:
        """Return the samples of a data set that was opened for the module's only input.

        Raises:
            InputError: The module has several inputs, or the data set was opened for another one.
            UsageError: The limit is not positive.
        """
        value = only_input(module)
        if data.converter.input != _with_rows(value):
            raise InputError(f"{data.path}: opened for {data.converter.input}, not for input {value} of {module.name}")
        return cls._of_sources(module, {value.name: _Converted(data.source, data.converter, data.path)}, limit)

    @classmethod
    def synthetic(cls, module: Module, count: int = SYNTHETIC_COUNT, seed: int = 0) -> CalibrationSamples:
        """Return smooth noise over the range of each input: see :func:`synthetic_inputs`."""
        sources = tuple(_Synthetic(module, position, seed) for position in range(len(module.graph.inputs)))
        rows = tuple(np.arange(count * _extent(value), dtype=np.intp) for value in module.graph.inputs)
        return cls(module, sources, rows, "synthetic samples")

    @classmethod
    def _of_arrays(
        cls,
        module: Module,
        arrays: Mapping[str, NDArray[Any]],
        name: str,
        normalization: PixelNormalization | None,
        limit: int | None,
    ) -> CalibrationSamples:
        inputs = {value.name: value for value in module.graph.inputs}
        found = [Diagnostic(f"there is no input {given!r}") for given in arrays if given not in inputs]
        found += [
            Diagnostic(f"input {value.name!r} is missing")
            for value in module.inputs_for(arrays)
            if value.name not in arrays
        ]
        sources: dict[str, _Converted] = {}
        for value in module.graph.inputs:
            if value.name not in arrays:
                continue
            array = np.atleast_1d(arrays[value.name])
            source = _Converted(ArraySource(array), InputConverter(_with_rows(value), normalization), Path(name))
            sources[value.name] = source
            try:
                source.converter.convert(array[:1], name)
            except InputError as error:
                found.append(Diagnostic(str(error).removeprefix(f"{name}: ")))
            if len(array) == 0:
                found.append(Diagnostic(f"input {value.name!r} has no samples"))
        if found:
            raise InputError.collect(name, found)
        return cls._of_sources(module, sources, limit)

    @classmethod
    def _of_sources(cls, module: Module, sources: Mapping[str, _Converted], limit: int | None) -> CalibrationSamples:
        if limit is not None and limit < 1:
            raise UsageError(f"the limit of calibration samples must be at least 1, found {limit}")
        inputs = module.graph.inputs
        name = str(next(iter(sources.values())).path) if sources else "calibration samples"
        # The last batch of a module that takes several rows at once is filled up from the beginning.
        given = [value for value in inputs if value.name in sources]
        available = {value.name: -(-len(sources[value.name].source) // _extent(value)) for value in given}
        if len(set(available.values())) > 1:
            listed = ", ".join(f"{given!r} has {count}" for given, count in available.items())
            raise InputError(f"{name}: every input must have the same number of samples, {listed}")
        total = max(available.values(), default=1)
        count = total if limit is None else min(limit, total)
        chosen = np.arange(count, dtype=np.intp) * total // max(count, 1)
        rows = {value.name: _rows_of(value, chosen) % len(sources[value.name].source) for value in given}
        if len(given) < len(inputs):
            states = _states_of_stream(module, sources, chosen)
            sources = {**sources, **states}
            rows |= {state: np.arange(len(states[state].source)) for state in states}
        return cls(module, tuple(sources[v.name] for v in inputs), tuple(rows[v.name] for v in inputs), name)

    def __len__(self) -> int:
        """Return how many samples there are: batches of the module."""
        if not self.rows:
            return 1
        return len(self.rows[0]) // _extent(self.module.graph.inputs[0])

    def few(self, count: int) -> CalibrationSamples:
        """Return no more than ``count`` of the samples, evenly over all."""
        total = len(self)
        chosen = np.arange(min(count, total), dtype=np.intp) * total // max(min(count, total), 1)
        return replace(self, rows=tuple(rows.reshape(total, -1)[chosen].ravel() for rows in self.rows), _memory={})

    def read(self, start: int, stop: int) -> dict[str, NDArray[Any]]:
        """Return samples ``start`` to ``stop`` by input name, N first, in the dtypes of the module's inputs.

        Raises:
            InputError: A sample cannot be read or does not fit its input.
        """
        if "arrays" not in self._memory and self._bytes() <= _KEPT_BYTES:
            self._memory["arrays"] = self._read(0, len(self))
        kept: dict[str, NDArray[Any]] | None = self._memory.get("arrays")
        if kept is None:
            return self._read(start, stop)
        return {
            value.name: kept[value.name][start * _extent(value) : stop * _extent(value)]
            for value in self.module.graph.inputs
        }

    def batches_for(self, module: Module, size: int | None = None) -> Iterator[dict[str, NDArray[Any]]]:
        """Yield all samples in order as what the inputs of ``module`` hold: codes in their dtype, doubles for floats.

        Args:
            module: A module that the samples' own one became: inputs of the same names and shapes. Where an input has
                the same element the codes are the same; else they are the nearest to the same real values.
            size: How many samples at a time; a few megabytes if None. A module with scalar inputs gets one at a time.

        Raises:
            InputError: A sample cannot be read.
        """
        theirs = {value.name: value for value in module.graph.inputs}
        names = [value.name for value in self.module.graph.inputs]
        assert sorted(theirs) == sorted(names), f"module {module.name} has other inputs than {', '.join(names)}"
        if not all(value.type.shape for value in theirs.values()):
            size = 1
        step = size or max(1, _READ_BYTES * len(self) // max(1, self._bytes()))
        for start in range(0, len(self), step):
            arrays = self.read(start, min(start + step, len(self)))
            given: dict[str, NDArray[Any]] = {}
            for value in self.module.graph.inputs:
                wanted = theirs[value.name]
                assert wanted.type.shape == value.type.shape, f"input {wanted} has another shape than {value}"
                array = arrays[value.name]
                same = wanted.type.element == value.type.element
                array = array if same else _reals(value, array)
                given[value.name] = array if wanted.type.shape else array.reshape(())
            bound, _ = bind_inputs(module, given)
            yield bound

    @property
    def digest(self) -> str:
        """BLAKE2 over names, elements, dtypes, shapes and bytes of all samples, in hexadecimal.

        Raises:
            InputError: A sample cannot be read.
        """
        if "digest" not in self._memory:
            states = [hashlib.blake2b(digest_size=20) for _ in self.module.graph.inputs]
            for value, state in zip(self.module.graph.inputs, states, strict=True):
                state.update(f"{value.name!r} {value.type.element} {list(value.type.shape)} {len(self)}".encode())
            for index in range(len(self)):
                arrays = self.read(index, index + 1)
                for value, state in zip(self.module.graph.inputs, states, strict=True):
                    array = arrays[value.name]
                    little_endian = array.astype(array.dtype.newbyteorder("<"), copy=False)
                    state.update(np.ascontiguousarray(little_endian).data)
            whole = hashlib.blake2b(b"".join(state.digest() for state in states), digest_size=20)
            self._memory["digest"] = whole.hexdigest()
        digest: str = self._memory["digest"]
        return digest

    def _read(self, start: int, stop: int) -> dict[str, NDArray[Any]]:
        return {
            value.name: source.read(rows[start * _extent(value) : stop * _extent(value)])
            for value, source, rows in zip(self.module.graph.inputs, self.sources, self.rows, strict=True)
        }

    def _bytes(self) -> int:
        return len(self) * sum(value.type.bytes for value in self.module.graph.inputs)


@dataclass(frozen=True, slots=True)
class _Converted:
    """Samples of a data set, turned into what the input takes."""

    source: SampleSource
    converter: InputConverter
    path: Path

    def read(self, rows: NDArray[np.intp]) -> NDArray[Any]:
        if isinstance(self.source, ArraySource):
            return self.converter.convert(np.asarray(self.source.array[rows]), str(self.path))
        found = [self.source.read(int(row), int(row) + 1) for row in rows]
        return self.converter.convert(np.concatenate(found), str(self.path))


def _states_of_stream(
    module: Module, sources: Mapping[str, _Converted], chosen: NDArray[np.intp]
) -> dict[str, _Converted]:
    """Return what the states of a module are in some runs of a stream, which its other inputs are the samples of."""
    program, states = ReferenceProgram(module), initial_states(module)
    inputs = {value.name: value for value in module.graph.inputs}
    found: dict[str, list[NDArray[Any]]] = {name: [] for name in states}
    wanted = set(chosen.tolist())
    for step in range(int(chosen[-1]) + 1):
        if step in wanted:
            for name, array in states.items():
                found[name].append(np.atleast_1d(array))
        rows = {name: _rows_of(inputs[name], np.array([step])) for name in sources}
        given = {name: source.read(rows[name] % len(source.source)) for name, source in sources.items()}
        outputs = program.run({**given, **states})
        states = {state.input: outputs[state.output] for state in module.states}
    path = next(iter(sources.values())).path
    return {
        name: _Converted(ArraySource(np.concatenate(arrays)), InputConverter(_with_rows(inputs[name])), path)
        for name, arrays in found.items()
    }


def _rows_of(value: Value, samples: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the rows of an input that samples of these numbers have."""
    extent = _extent(value)
    return (samples[:, np.newaxis] * extent + np.arange(extent)).ravel()


@dataclass(frozen=True, slots=True)
class _Synthetic:
    """Smooth noise, made when it is asked for."""

    module: Module
    position: int
    seed: int

    def read(self, rows: NDArray[np.intp]) -> NDArray[Any]:
        extent = _extent(self.module.graph.inputs[self.position])
        batches = rows[::extent] // extent
        return np.concatenate([synthetic_batch(self.module, self.position, int(one), self.seed) for one in batches])


def _extent(value: Value) -> int:
    return value.type.shape[0] if value.type.shape else 1


def _with_rows(value: Value) -> Value:
    """Return an input as data sets hold it: samples of a scalar are a row of numbers."""
    return value if value.type.shape else replace(value, type=replace(value.type, shape=(1,)))


def _reals(value: Value, array: NDArray[Any]) -> NDArray[np.float64]:
    """Return real values; where the scales run along the leading axis, batch by batch of the module."""
    quantization = value.type.quantization
    if quantization is None:
        return array.astype(np.float64)
    if quantization.axis != 0:
        return quantization.dequantize(array)
    batches = array.reshape(-1, *value.type.shape)
    return np.concatenate([quantization.dequantize(batch) for batch in batches])


def _has_array(path: Path, name: str) -> bool:
    return path.suffix == ".npz" and path.is_file() and name != SAMPLES and name in read_arrays(path, (name,))


def _names(module: Module) -> str:
    return ", ".join(repr(value.name) for value in module.graph.inputs)


Calibration: TypeAlias = CalibrationSamples | DataSet | str | Path | Mapping[str, ArrayLike] | ArrayLike | None
"""What callers give as calibration data; None stands for synthetic samples."""


def calibration_samples(given: Calibration, module: Module) -> CalibrationSamples | None:
    """Return what a caller gave as calibration data, as samples for ``module``; None stays None.

    Raises:
        InputError: The data do not fit the module.
    """
    if given is None:
        return None
    if isinstance(given, CalibrationSamples):
        if given.module.graph.inputs != module.graph.inputs:
            raise InputError(f"{given.name}: they are for other inputs than those of module {module.name}")
        return given
    if isinstance(given, DataSet):
        return CalibrationSamples.of_data_set(given, module)
    if isinstance(given, str | Path):
        return CalibrationSamples.open(given, module)
    return CalibrationSamples.of(given, module)
