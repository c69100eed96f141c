"""The original model as a teacher: what its activations are on calibration samples."""

from __future__ import annotations

import hashlib
import importlib.metadata
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mrqc.backends.reference import ReferenceProgram
from mrqc.calibration.cache import ArrayCache
from mrqc.calibration.observers import CodeHistogram, Moments, ValueStatistics
from mrqc.calibration.samples import CalibrationSamples
from mrqc.calibration.synthetic import inputs_are_pictures
from mrqc.ir.graph import Module
from mrqc.ir.op import Value
from mrqc.ir.text import print_module
from mrqc.ops import nn

Progress: TypeAlias = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""

FORMAT = "1"
"""Of cached statistics: to be raised with every change of what they are or how they are computed."""
LEAST_SAMPLES = 4
"""Means over fewer samples are too far from those of data."""
VERSION = importlib.metadata.version("mrqc")


def _discard(_description: str, _done: int, _total: int) -> None:
    """Ignore progress that nobody watches."""


class Teacher:
    """A quantized ``nn`` module with samples of its inputs; everything is computed when it is first asked for.

    Attributes:
        module: The original.
        progress: Where to say how far the work is; passes that work with the teacher use it too.
        scaled: What passes multiplied the channels of activations by, in the module that is re-quantized, by name.
    """

    def __init__(
        self,
        module: Module,
        samples: CalibrationSamples | None = None,
        *,
        progress: Progress = _discard,
        cache: ArrayCache | None = None,
    ) -> None:
        """Take a module and its samples.

        Args:
            module: A well-formed ``nn`` module.
            samples: For it, or for a module that it was made from: inputs of the same names and shapes. None stands
                for synthetic ones.
            progress: Called with a description, the samples done and their total.
            cache: Where statistics are kept; the environment says where if None.
        """
        self.module = module
        self.progress = progress
        self.scaled: dict[str, NDArray[np.float64]] = {}
        self._samples = samples
        self._has_data = samples is not None
        self._fewer: dict[int, Teacher] = {}
        self._cache = ArrayCache.from_environment() if cache is None else cache

    @property
    def has_data(self) -> bool:
        """Whether the samples are the user's, not synthetic ones."""
        return self._has_data

    @property
    def is_representative(self) -> bool:
        """Whether means and second moments are nearly those of data; of synthetic samples only pictures have them."""
        return self.has_data or inputs_are_pictures(self.module)

    def with_few(self, limit: int, values: int = 0) -> Teacher:
        """Return a teacher of the same module with some of the samples, evenly over all, always the same one.

        Args:
            limit: How many at the most; 0 sets no limit.
            values: How many values their activations may have: of a large model that is fewer samples, but not less
                than 4. 0 sets no limit.
        """
        if not limit and not values:
            return self
        count = min(limit or len(self.samples), len(self.samples))
        if values:
            count = min(count, max(values // max(self._activation_values, 1), LEAST_SAMPLES))
        if count == len(self.samples):
            return self
        if count not in self._fewer:
            fewer = Teacher(self.module, self.samples.few(count), progress=self.progress, cache=self._cache)
            fewer.scaled, fewer._has_data = self.scaled, self._has_data
            self._fewer[count] = fewer
        return self._fewer[count]

    @cached_property
    def _activation_values(self) -> int:
        """How many values the activations of a sample have."""
        activations = (s for s in self.module.graph.statements if not isinstance(s.op, nn.Constant))
        return sum(math.prod(statement.result.type.shape) for statement in activations)

    @cached_property
    def samples(self) -> CalibrationSamples:
        """The samples; synthetic ones where none were given."""
        return CalibrationSamples.synthetic(self.module) if self._samples is None else self._samples

    @cached_property
    def program(self) -> ReferenceProgram:
        """The module, ready to run over the reals."""
        return ReferenceProgram(self.module)

    @cached_property
    def statistics(self) -> Mapping[str, ValueStatistics]:
        """What was seen of each value that depends on an input, by its name, inputs included.

        The result does not depend on how many samples run at a time. It is kept on disk under the hash of the module
        and the samples.

        Raises:
            InputError: A sample cannot be read.
        """
        key = self._key() if self._cache.folder is not None else ""
        found = self._loaded(key)
        if found is None:
            found = self._measured()
            arrays = {f"{name}/{part}": array for name, one in found.items() for part, array in _arrays(one)}
            self._cache.store(key, arrays)
        return MappingProxyType(found)

    def batches(self, size: int | None = None) -> Iterator[dict[str, NDArray[Any]]]:
        """Yield all samples as arrays of the module's inputs: codes, or doubles for floats.

        Args:
            size: How many at a time; as many as run at once in bounded memory if None.
        """
        return self.samples.batches_for(self.module, size or self.program.batches_per_slice)

    def walk(self, description: str = "running the original") -> Iterator[tuple[Value, NDArray[Any]]]:
        """Yield every value that depends on an input with its array, in order, again for each slice of the samples.

        Args:
            description: What progress is reported as.
        """
        done, total = 0, len(self.samples)
        self.progress(description, 0, total)
        size = self.program.batches_per_slice
        for batch in self.batches(size):
            yield from self.program.walk(batch)
            done = min(done + size, total)
            self.progress(description, done, total)

    def _measured(self) -> dict[str, ValueStatistics]:
        found: dict[str, ValueStatistics] = {}
        for value, array in self.walk("statistics of the original"):
            seen = ValueStatistics.of(array, value.type)
            known = found.get(value.name)
            found[value.name] = seen if known is None else known.merge(seen)
        return found

    def _key(self) -> str:
        anonymous = replace(self.module, name="module", metadata=())
        state = hashlib.blake2b(f"{FORMAT} {VERSION} {self.samples.digest} ".encode(), digest_size=20)
        state.update(print_module(anonymous, locations=False).encode())
        return f"statistics-{state.hexdigest()}"

    def _loaded(self, key: str) -> dict[str, ValueStatistics] | None:
        arrays = self._cache.load(key)
        if arrays is None:
            return None
        known = self.program.known
        try:
            return {
                value.name: _statistics(arrays, value) for value in self.module.graph.values() if value not in known
            }
        except (KeyError, TypeError, ValueError):
            # Not what was written: computed anew, and written over.
            return None


def _arrays(statistics: ValueStatistics) -> Iterator[tuple[str, NDArray[Any]]]:
    yield from ((f"moments/{name}", array) for name, array in statistics.moments.to_arrays().items())
    if statistics.histogram is not None:
        yield from ((f"histogram/{name}", array) for name, array in statistics.histogram.to_arrays().items())


def _statistics(arrays: Mapping[str, NDArray[Any]], value: Value) -> ValueStatistics:
    """Return the statistics of a value.

    Raises:
        KeyError: They are not there.
        ValueError: They are not what was written.
    """
    moments = Moments.from_arrays(_parts(arrays, value, "moments", Moments.PARTS), value.type)
    if not CodeHistogram.counts_codes_of(value.type):
        return ValueStatistics(value.type, moments)
    histogram = CodeHistogram.from_arrays(_parts(arrays, value, "histogram", CodeHistogram.PARTS), value.type)
    return ValueStatistics(value.type, moments, histogram)


def _parts(
    arrays: Mapping[str, NDArray[Any]], value: Value, kind: str, names: tuple[str, ...]
) -> dict[str, NDArray[Any]]:
    return {name: arrays[f"{value.name}/{kind}/{name}"] for name in names}
