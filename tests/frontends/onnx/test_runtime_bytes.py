"""Real models on the target onnxruntime: the simulator gives the bytes of ONNX Runtime.

The oracle is ONNX Runtime in one thread. On processors without VNNI its kernels for u8 activations and i8 weights
add two products in 16 bits and saturate, so that its own answers depend on the processor; a session with
``session.x64quantprecision`` turns such weights into u8 and is exact. Models with i8 activations do not go through
these kernels; for them ``session.qdqisint8allowed`` lets the runtime fuse DequantizeLinear, operator, QuantizeLinear
as it always does for u8, where it would otherwise run the operator in floats on x86.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper
from onnx_single_ops import SAFE_SESSION, TARGET, session_of
from PIL import Image

import mrqc

MODELS = {
    "resnet8.qoperator.u8": "u8",
    "resnet8.qoperator.s8_pc": "i8",
    "resnet8.qdq.u8": "u8",
    "resnet8.qdq.s8_pc": "i8",
    "mobilenet_v2_qat_u8": "u8",
    "mobilenet_v2_ptq_s8": "i8",
}
"""The shared models, with the type of their activations."""

Array = NDArray[Any]


@cache
def lowered(path: Path) -> mrqc.Module:
    return mrqc.lower(mrqc.load(path), TARGET)


def images_of(name: str, assets: Path) -> Array:
    """Return what the file takes: real photographs, random ones, all-black and all-white."""
    if name.startswith("resnet8"):
        random = np.random.default_rng(0)
        photographs = np.load(assets / "data" / "cifar10" / "calib.npz")["x"][:64].astype(np.float32)
        noise = random.integers(0, 256, (24, *photographs.shape[1:])).astype(np.float32)
        ends = np.stack([np.full(photographs.shape[1:], end, np.float32) for end in (0, 255)])
        return np.concatenate([photographs, noise, ends])
    files = sorted((assets / "data" / "imagenet" / "val").glob("*.jpg"))[::10]
    photographs = np.stack([np.asarray(Image.open(file)) for file in files])
    noise = np.random.default_rng(0).integers(0, 256, (12, *photographs.shape[1:]), np.uint8)
    ends = np.stack([np.full(photographs.shape[1:], end, np.uint8) for end in (0, 255)])
    return np.concatenate([photographs, noise, ends])


def in_the_runtime(content: bytes | str, dtype: str, images: Array) -> dict[str, Array]:
    session = session_of(content, SAFE_SESSION[dtype])
    names = [output.name for output in session.get_outputs()]
    (port,) = session.get_inputs()
    found = [session.run(names, {port.name: image[None]}) for image in images]
    return {name: np.concatenate(arrays) for name, arrays in zip(names, zip(*found, strict=True), strict=True)}


def as_the_file_gives(array: Array, output: Any) -> Array:
    """Return codes as floats where the file ends with a DequantizeLinear, which is the host's."""
    quantization = output.value.type.quantization
    centred = array.astype(np.int32) - quantization.zero_point
    return (centred * np.float32(quantization.scale)).astype(np.float32)


LARGE = ("mobilenet_v2_qat_u8", "mobilenet_v2_ptq_s8")
INPUTS = 50


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in LARGE else []) for name in MODELS]
)
def test_every_byte_is_the_runtimes(name: str, assets: Path) -> None:
    path = assets / "models" / f"{name}.onnx"
    images = images_of(name, assets)
    assert len(images) >= INPUTS
    module = lowered(path)
    (output,) = module.graph.outputs
    found = mrqc.simulate(module)(images)
    (wanted,) = in_the_runtime(str(path), MODELS[name], images).values()
    if wanted.dtype == np.float32:
        found = as_the_file_gives(found, output)
    assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape)
    assert np.count_nonzero(found != wanted) == 0
    assert len(np.unique(wanted)) > 2


def exposed(path: Path) -> onnx.ModelProto:
    """Return a model on codes with the result of every node on codes as an output."""
    model = onnx.load(path)
    elements = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type.startswith("Q"):
            at = -2 if node.op_type == "QLinearConv" and len(node.input) == 9 else -1
            element_type = elements.get(node.input[at], TensorProto.UINT8)
            model.graph.output.append(helper.make_tensor_value_info(node.output[0], element_type, None))
    return model


@pytest.mark.parametrize("name", ["resnet8.qoperator.u8", "resnet8.qoperator.s8_pc"])
def test_every_byte_between_is_the_runtimes(name: str, assets: Path) -> None:
    path = assets / "models" / f"{name}.onnx"
    images = images_of(name, assets)[::6]
    module = lowered(path)
    theirs = in_the_runtime(exposed(path).SerializeToString(), MODELS[name], images)
    ours = mrqc.simulate(module).trace(images)
    labels = {node.name or node.output[0]: node.output[0] for node in onnx.load(path).graph.node}
    compared = 0
    for statement in module.graph.statements:
        wanted = theirs.get(labels.get(statement.location.sources[-1], ""))
        found = ours[statement.result.name]
        if wanted is None or statement.op.mnemonic == "int.constant" or found.dtype != wanted.dtype:
            continue
        if wanted.ndim == 4:
            wanted = wanted.transpose(0, 2, 3, 1)
        assert np.count_nonzero(found != wanted) == 0, str(statement.location)
        compared += 1
    assert compared >= 14
