"""Trained models: imported, and end to end the bytes of LiteRT's reference kernels."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from litert import LiteRT
from numpy.typing import NDArray
from PIL import Image

import mrqc
from mrqc.backends.c import CompiledKernel
from mrqc.compiler import reference
from mrqc.frontends.tflite import import_tflite
from mrqc.ir import Module, verify

SMALL = ("ad_autoencoder_s8", "kws_dscnn_s8", "mobilenet_v1_025_128_qat_u8", "resnet8_s8", "vww_mobilenet_s8")
LARGE = ("mobilenet_v2_ptq_s8", "mobilenet_v2_qat_u8")
FLOATS = ("kws_dscnn_f32", "resnet8_f32")
INTEGERS = (*SMALL, *(pytest.param(name, marks=pytest.mark.slow) for name in LARGE))
DATA = {"kws": "kws", "resnet8": "cifar10", "mobilenet": "imagenet", "vww": "imagenet"}

REAL_INPUTS = 24
RANDOM_INPUTS = 24
INPUTS = REAL_INPUTS + RANDOM_INPUTS + 2
"""For each model: real ones or more random ones, random ones, all least and all greatest codes."""

pytestmark = pytest.mark.assets


@cache
def module_of(path: Path) -> Module:
    return mrqc.load(path)


def model_path(assets: Path, name: str) -> Path:
    return assets / "models" / f"{name}.tflite"


def real_inputs(assets: Path, name: str, module: Module, count: int) -> Iterator[NDArray[Any]]:
    """Yield real data in the form that the model takes, where there is some for it."""
    (value,) = module.graph.inputs
    folder = next((folder for start, folder in DATA.items() if name.startswith(start)), None)
    if folder is None:
        return
    if folder == "imagenet":
        height, width = value.type.shape[1:3]
        files = sorted((assets / "data" / folder / "val").glob("*.jpg"))[:count]
        images = [np.asarray(Image.open(file).resize((width, height))) for file in files]
    else:
        images = list(np.load(assets / "data" / folder / "val.npz")["x"][:count])
    for image in images:
        yield as_input(image, module)[None]


def as_input(image: NDArray[Any], module: Module) -> NDArray[Any]:
    """Return codes or pixels as the model takes them: pixels of a signed model are moved down by 128."""
    (value,) = module.graph.inputs
    dtype = value.type.dtype.numpy
    if image.dtype == np.uint8 and dtype == np.int8:
        return (image ^ 0x80).view(np.int8)
    if image.dtype == np.int8 and dtype == np.float32:
        # The float model takes what the codes of the integer one stand for.
        return ((image.astype(np.float64) - 83) * 0.5847029089927673).astype(np.float32)
    return image.astype(dtype)


def inputs_of(assets: Path, name: str, module: Module) -> NDArray[Any]:
    """Return real data, random codes, and all least and all greatest codes."""
    (value,) = module.graph.inputs
    dtype = value.type.dtype
    shape = value.type.shape
    random = np.random.default_rng(1)
    arrays = list(real_inputs(assets, name, module, REAL_INPUTS))
    missing = INPUTS - 2 - len(arrays)
    arrays += [random.integers(dtype.minimum, dtype.maximum + 1, shape).astype(dtype.numpy) for _ in range(missing)]
    arrays += [np.full(shape, code, dtype.numpy) for code in (dtype.minimum, dtype.maximum)]
    return np.concatenate(arrays)


@cache
def expected_of(path: Path, assets: Path) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return inputs and what LiteRT makes of them."""
    module = module_of(path)
    inputs = inputs_of(assets, path.stem, module)
    runtime = LiteRT(path.read_bytes())
    (name,) = (value.name for value in module.graph.inputs)
    return inputs, np.concatenate([next(iter(runtime.run({name: row[None]}).values())) for row in inputs])


@pytest.mark.parametrize("name", [*SMALL, *LARGE, *FLOATS])
def test_the_model_is_imported(assets: Path, name: str) -> None:
    module = module_of(model_path(assets, name))
    assert verify(module) == []
    assert mrqc.parse(str(module)) == module
    kinds = {value.type.dtype.is_integer for value in module.graph.values() if not value.type.element.is_quantized}
    assert True not in kinds, "every value of integers has a scale"


@pytest.mark.parametrize("name", FLOATS)
def test_float_models_give_the_runtimes_floats(assets: Path, name: str) -> None:
    path = model_path(assets, name)
    module = module_of(path)
    runtime, program = LiteRT(with_float_weights(path.read_bytes())), reference(module)
    (entry,) = (value.name for value in module.graph.inputs)
    for array in real_inputs(assets, name, module, 20):
        (expected,) = runtime.run({entry: array}).values()
        (found,) = program.run(array).values()
        np.testing.assert_allclose(found, expected, 0, 1e-5)


def with_float_weights(content: bytes) -> bytes:
    """Return the file with the real values of its 8-bit weights.

    Where these meet floats, the runtime rounds the floats to 8 bits on the fly, and mrqc keeps to the real numbers.
    """
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    for tensor in model.subgraphs[0].tensors:
        data = model.buffers[tensor.buffer].data
        if tensor.type != schema.TensorType.INT8 or data is None:
            continue
        scales = np.asarray(tensor.quantization.scale, np.float64)
        shape = [-1 if axis == tensor.quantization.quantizedDimension else 1 for axis in range(len(tensor.shape))]
        real = np.asarray(data, np.uint8).view(np.int8).reshape(tensor.shape) * scales.reshape(shape)
        model.buffers[tensor.buffer].data = np.frombuffer(real.astype(np.float32).tobytes(), np.uint8)
        tensor.type = schema.TensorType.FLOAT32
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


@pytest.mark.parametrize("name", FLOATS)
@pytest.mark.parametrize("target", ["pow2-npu", "tflite"])
def test_a_float_model_is_refused_for_integer_hardware(assets: Path, name: str, target: str) -> None:
    module = module_of(model_path(assets, name))
    with pytest.raises(mrqc.MrqcError) as caught:
        mrqc.lower(module, target)
    assert caught.value.exit_code in (1, 3)


@pytest.mark.parametrize("name", INTEGERS)
def test_the_simulator_gives_the_runtimes_bytes(assets: Path, name: str) -> None:
    path = model_path(assets, name)
    program = mrqc.simulate(mrqc.lower(module_of(path), "tflite"))
    inputs, expected = expected_of(path, assets)
    for start in range(0, len(inputs), 10):
        found = program(inputs[start : start + 10])
        assert isinstance(found, np.ndarray)
        assert found.dtype == expected.dtype
        differing = np.count_nonzero(found != expected[start : start + 10])
        assert differing == 0, f"{differing} of {found.size} bytes from input {start} on"


@pytest.mark.parametrize("name", INTEGERS)
def test_the_c_gives_the_simulators_bytes(assets: Path, name: str) -> None:
    """With sanitizers, on every input for which the simulator has to give the runtime's bytes."""
    path = model_path(assets, name)
    module = mrqc.lower(module_of(path), "tflite")
    inputs = inputs_of(assets, name, module)
    assert len(inputs) == INPUTS
    program = mrqc.simulate(module)
    with CompiledKernel(module, sanitize=True) as kernel:
        (found,) = kernel.run(inputs).values()
    for start in range(0, INPUTS, 10):
        np.testing.assert_array_equal(found[start : start + 10], program(inputs[start : start + 10]))


def test_the_import_is_fast_and_small(assets: Path) -> None:
    path = model_path(assets, "mobilenet_v2_qat_u8")
    import_tflite(path)
    started = time.process_time()
    import_tflite(path)
    assert time.process_time() - started < 0.5
    tracemalloc.start()
    import_tflite(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5 * path.stat().st_size
