"""Does the emitted C give the bits of the simulator?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrqc.backends.c import CompiledKernel
from mrqc.backends.simulator import Program
from mrqc.calibration import DataSet, only_input
from mrqc.errors import InputError
from mrqc.ir.graph import Module
from mrqc.ir.op import Value

_SEED = 2308_01867
_SAMPLES_AT_A_TIME = 8


@dataclass(frozen=True, slots=True)
class Verification:
    """The result of a comparison.

    Attributes:
        samples: Batches of the module that both have run.
        total_bytes: Bytes of all outputs over all samples.
        differing_bytes: How many of them differ; 0 or the compiler has a bug.
        first_difference: A sentence about the first wrong element, or None.
    """

    samples: int
    total_bytes: int
    differing_bytes: int
    first_difference: str | None = None

    def as_json(self) -> dict[str, object]:
        """Return the fields by name."""
        return asdict(self)


def verify_c(
    module: Module,
    inputs: Mapping[str, NDArray[Any]],
    *,
    compiler: str | None = None,
    sanitize: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Verification:
    """Compile the C of an ``int`` module, run it and the simulator on ``inputs``, and compare byte by byte.

    Args:
        module: A lowered module.
        inputs: By input name; codes, or real values that are quantized by the input's scale. Without the states of the
            module they are one stream.
        compiler: The C compiler; the machine's own by default.
        sanitize: Compile with the address and undefined-behaviour sanitizers.
        progress: Called with the samples done and their total.

    Raises:
        InputError: The inputs do not fit the module, or there is no such compiler.
        KernelFailure: The C does not compile, or a sanitizer stopped it.
    """
    program = Program(module)
    samples = _sample_count(module, inputs)
    is_stream = any(state.input not in inputs for state in module.states)
    step = samples if is_stream else _SAMPLES_AT_A_TIME
    result = Verification(0, 0, 0)
    with CompiledKernel(module, compiler=compiler, sanitize=sanitize) as kernel:
        for start in range(0, samples, step):
            stop = min(start + step, samples)
            given = [value for value in module.graph.inputs if value.name in inputs]
            part = {value.name: _samples(value, inputs[value.name], start, stop) for value in given}
            result = _combined(
                result, compare_outputs(module, program.run(part), kernel.run(part), start, stop - start)
            )
            if progress is not None:
                progress(stop, samples)
    return result


def extreme_and_random_inputs(module: Module, samples: int, seed: int = _SEED) -> dict[str, NDArray[Any]]:
    """Return codes for every input: all least, all greatest, all zero, then evenly distributed ones.

    Args:
        module: An ``int`` module.
        samples: Batches of the module.
        seed: Same seed, same codes.
    """
    generator = np.random.default_rng(seed)
    return {value.name: _codes(value, samples, generator) for value in module.graph.inputs}


def inputs_from_data(module: Module, data: DataSet, samples: int) -> dict[str, NDArray[Any]]:
    """Return the real values of the first samples of a data set; fewer if it holds fewer.

    Args:
        module: An ``int`` module of one input.
        data: Samples for the model that the module was lowered from.
        samples: Batches of the module.

    Raises:
        InputError: The module has several inputs, or the data do not fill one batch.
    """
    value = only_input(module)
    extent = value.type.shape[0] if value.type.shape else 1
    count = min(samples, len(data) // extent) * extent
    if count == 0:
        raise InputError(f"{data.path}: {len(data)} samples do not fill a batch of {extent}")
    parts = [data.converter.real_values(batch.samples) for batch in data.batches(count, count)]
    return {value.name: np.concatenate(parts)}


def _codes(value: Value, samples: int, generator: np.random.Generator) -> NDArray[Any]:
    dtype, shape = value.type.dtype, value.type.shape
    codes = generator.integers(dtype.minimum, dtype.maximum, (samples, *shape), dtype=dtype.numpy, endpoint=True)
    quantization = value.type.quantization
    zero: NDArray[Any] | int = 0 if quantization is None else quantization.broadcast_zero_points(len(shape))
    for index, extreme in enumerate((dtype.minimum, dtype.maximum, zero)[:samples]):
        codes[index] = extreme
    return codes.reshape(samples * shape[0], *shape[1:]) if shape else codes[0]


def _sample_count(module: Module, inputs: Mapping[str, NDArray[Any]]) -> int:
    given = (value for value in module.graph.inputs if value.name in inputs and value.type.shape)
    counts = (len(inputs[value.name]) // value.type.shape[0] for value in given)
    return min(counts, default=1)


def _samples(value: Value, array: NDArray[Any], start: int, stop: int) -> NDArray[Any]:
    if not value.type.shape:
        return array
    extent = value.type.shape[0]
    return array[start * extent : stop * extent]


def compare_outputs(
    module: Module,
    expected: Mapping[str, NDArray[Any]],
    found: Mapping[str, NDArray[Any]],
    first_sample: int,
    samples: int,
) -> Verification:
    """Return how the outputs of the C differ from those of the simulator.

    Args:
        module: What both have run.
        expected: The simulator's outputs by name.
        found: Those of the C.
        first_sample: The number of the first sample, for the sentence.
        samples: Batches of the module that the outputs hold.
    """
    total = differing = 0
    sentence: str | None = None
    for output in module.graph.outputs:
        simulated, computed = expected[output.name], found[output.name]
        assert simulated.shape == computed.shape, output.name
        assert simulated.dtype == computed.dtype, output.name
        total += simulated.nbytes
        as_bytes = (np.ascontiguousarray(array).reshape(-1).view(np.uint8) for array in (simulated, computed))
        differing += int(np.count_nonzero(np.not_equal(*as_bytes)))
        wrong = np.flatnonzero(simulated.ravel() != computed.ravel())
        if sentence is None and len(wrong):
            sample, element = divmod(int(wrong[0]), simulated.size // samples)
            sentence = (
                f"output {output.name!r}, sample {first_sample + sample}, "
                f"element {element} of {output.value.type.size}: "
                f"simulator {simulated.ravel()[wrong[0]]}, C {computed.ravel()[wrong[0]]}"
            )
    return Verification(samples, total, differing, sentence)


def _combined(first: Verification, second: Verification) -> Verification:
    return Verification(
        first.samples + second.samples,
        first.total_bytes + second.total_bytes,
        first.differing_bytes + second.differing_bytes,
        first.first_difference or second.first_difference,
    )
