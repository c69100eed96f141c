"""Trained models: the folded module against ONNX over the reals, layer by layer against ONNX Runtime, and its form."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx_models import run_in_double_precision, run_onnxruntime
from PIL import Image

from mrqc.backends.reference import ReferenceProgram
from mrqc.frontends.onnx import import_onnx
from mrqc.ir import FLOAT, Graph, Module, Output, Statement, verify
from mrqc.ops import nn
from mrqc.passes.fold_qdq import FoldQdq

IMAGES = 4
TIE_MARGIN = 1e-3
"""How near to the middle between two codes single precision may take the wrong one, in codes."""


@dataclass(frozen=True)
class Model:
    """A model file and real inputs for it."""

    path: Path
    images: NDArray[Any]

    @cached_property
    def raw(self) -> Module:
        return import_onnx(self.path)

    @cached_property
    def folded(self) -> Module:
        return FoldQdq()(self.raw)

    @property
    def input(self) -> str:
        return self.raw.graph.inputs[0].name

    @cached_property
    def proto(self) -> onnx.ModelProto:
        return onnx.load(self.path)

    @cached_property
    def quantized_tensors(self) -> dict[str, str]:
        """The tensor that each QuantizeLinear defines, by the name of the node."""
        nodes = (node for node in self.proto.graph.node if node.op_type == "QuantizeLinear")
        return {node.name or node.output[0]: node.output[0] for node in nodes}

    @cached_property
    def results(self) -> NDArray[Any]:
        """What the folded module makes of the images."""
        (found,) = ReferenceProgram(self.folded).run({self.input: self.images}).values()
        return found

    @cached_property
    def onnxruntime_results(self) -> dict[str, NDArray[Any]]:
        """The output, and every quantized tensor, as ONNX Runtime computes it."""
        tensors = list(self.quantized_tensors.values())
        return run_onnxruntime(self.proto, {self.input: self.images}, tensors)

    def quantized_statements(self) -> Iterator[tuple[Statement, str]]:
        """Yield each statement that stands for a QuantizeLinear and what is before it, and the ONNX tensor."""
        for statement in self.folded.graph.statements:
            tensor = self.quantized_tensors.get(statement.location.sources[-1])
            if tensor is not None and not isinstance(statement.op, nn.Reshape | nn.Transpose):
                yield statement, tensor


NAMES = ("digits", "resnet8.qdq.u8", "resnet8.qdq.s8_pc", "mobilenet_v2_qat_u8", "mobilenet_v2_ptq_s8")
STATEMENTS = {
    "digits": {"nn.conv2d": 4, "nn.add": 1, "nn.fully_connected": 1, "nn.softmax": 0},
    "resnet8.qdq.u8": {"nn.conv2d": 9, "nn.add": 3, "nn.fully_connected": 1, "nn.softmax": 1},
    "resnet8.qdq.s8_pc": {"nn.conv2d": 9, "nn.add": 3, "nn.fully_connected": 1, "nn.softmax": 1},
    "mobilenet_v2_qat_u8": {"nn.conv2d": 53, "nn.add": 10, "nn.fully_connected": 0, "nn.softmax": 1},
    "mobilenet_v2_ptq_s8": {"nn.conv2d": 53, "nn.add": 10, "nn.fully_connected": 0, "nn.softmax": 1},
}


@pytest.fixture(scope="module", params=[pytest.param(name, marks=pytest.mark.assets) for name in NAMES])
def model(request: pytest.FixtureRequest) -> Model:
    name: str = request.param
    if name == "digits":
        folder: Path = request.getfixturevalue("digits")
        return Model(folder / "digits.onnx", np.load(folder / "calib.npz")["x"][:IMAGES])
    assets: Path = request.getfixturevalue("assets")
    path = assets / "models" / f"{name}.onnx"
    if name.startswith("resnet8"):
        pixels = np.load(assets / "data" / "cifar10" / "calib.npz")["x"][:IMAGES]
        return Model(path, pixels.astype(np.float32))
    files = sorted((assets / "data" / "imagenet" / "calib").iterdir())[:IMAGES]
    return Model(path, np.stack([np.asarray(Image.open(file)) for file in files]))


def test_form(model: Model) -> None:
    module = model.folded
    assert verify(model.raw) == []
    assert verify(module) == []
    statements = [statement.op.mnemonic for statement in module.graph.statements]
    wanted = STATEMENTS[model.path.stem]
    assert {name: statements.count(name) for name in wanted} == wanted
    assert "nn.clip" not in statements
    assert "nn.transpose" not in statements
    assert statements.count("nn.reshape") <= 2


def test_no_floats_but_at_the_edges(model: Model) -> None:
    graph = model.folded.graph
    floats = {value for value in graph.values() if not value.type.dtype.is_integer}
    assert floats <= {*graph.inputs, *graph.output_values}


def test_inputs_and_outputs_are_the_files(model: Model) -> None:
    declared = model.proto.graph
    (value,), (output,) = model.folded.graph.inputs, model.folded.graph.outputs
    assert (value.name, output.name) == (declared.input[0].name, declared.output[0].name)
    extents = [extent.dim_value or 1 for extent in declared.input[0].type.tensor_type.shape.dim]
    assert value.type.shape == tuple(extents)


def test_every_code_is_what_onnx_means_over_the_reals(model: Model) -> None:
    images = model.images[:1] if model.path.stem.startswith("mobilenet") else model.images
    statements = list(model.quantized_statements())
    wanted = run_in_double_precision(model.proto, {model.input: images}, [tensor for _, tensor in statements])
    found = ReferenceProgram(model.folded).trace({model.input: images})
    for statement, tensor in statements:
        codes = found[statement.result.name]
        np.testing.assert_array_equal(codes, as_stored(wanted[tensor], codes.shape), str(statement.location))
    # Only requantizations that change nothing have no statement of their own.
    assert len(statements) >= len(model.quantized_tensors) - 1


def test_folding_changes_no_code(model: Model) -> None:
    images = model.images[:1] if model.path.stem.startswith("mobilenet") else model.images
    (before,) = ReferenceProgram(model.raw).run({model.input: images}).values()
    np.testing.assert_array_equal(before, model.results[: len(images)])


def test_each_layer_rounds_as_onnxruntime_but_for_ties(model: Model) -> None:
    """Given ONNX Runtime's own codes, a layer differs by one code, and only where single precision cannot tell.

    Measured over these images: 0 of 18,856 codes (digits), 2 of 471,376 (resnet8, both), 140 of 27,591,112
    (MobileNetV2 QAT) and 66 of 28,197,228 (PTQ). From layer to layer such flips grow, which is why whole models are
    compared over the reals instead.
    """
    graph = model.folded.graph
    tensors = model.quantized_tensors
    theirs = model.onnxruntime_results
    codes: dict[str, NDArray[Any]] = {model.input: model.images}
    total = differing = 0
    for statement in graph.statements:
        if isinstance(statement.op, nn.Constant):
            continue
        found = run_alone(graph, statement, codes)
        tensor = tensors.get(statement.location.sources[-1])
        if tensor is None or isinstance(statement.op, nn.Reshape | nn.Transpose):
            codes[statement.result.name] = found
            continue
        wanted = as_stored(theirs[tensor], found.shape)
        codes[statement.result.name] = wanted
        wrong = found != wanted
        total += wrong.size
        differing += int(wrong.sum())
        if wrong.any():
            assert np.abs(found.astype(int) - wanted.astype(int)).max() == 1, str(statement.location)
            assert distance_to_ties(graph, statement, codes)[wrong].max() < TIE_MARGIN, str(statement.location)
    assert differing <= 1e-5 * total


def test_the_class_is_that_of_onnxruntime(model: Model) -> None:
    wanted = model.onnxruntime_results[model.proto.graph.output[0].name]
    np.testing.assert_array_equal(model.results.argmax(axis=1), wanted.argmax(axis=1))


def as_stored(array: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Return an ONNX tensor in the layout of the IR."""
    if array.ndim == 4 and array.transpose(0, 2, 3, 1).shape == shape:
        return array.transpose(0, 2, 3, 1)
    assert array.shape == shape
    return array


def run_alone(graph: Graph, statement: Statement, arrays: dict[str, NDArray[Any]]) -> NDArray[Any]:
    """Return the result of one statement on given operands."""
    definitions = [graph.definitions.get(operand) for operand in statement.op.operands]
    constants = [d for d in definitions if d is not None and isinstance(d.op, nn.Constant)]
    known = {constant.result for constant in constants}
    inputs = tuple(operand for operand in statement.op.operands if operand not in known)
    alone = Graph(inputs, (*constants, statement), (Output("result", statement.result),))
    return ReferenceProgram(Module("alone", alone)).run({value.name: arrays[value.name] for value in inputs})["result"]


def distance_to_ties(graph: Graph, statement: Statement, arrays: dict[str, NDArray[Any]]) -> NDArray[np.float64]:
    """Return how far, in codes, each real result is from the middle between two codes."""
    quantization = statement.result.type.quantization
    assert quantization is not None
    op: Any = statement.op
    exact = replace(op, element=FLOAT)
    (type_,) = exact.infer()
    unrounded = replace(statement, op=exact, results=(replace(statement.result, type=type_),))
    units = run_alone(graph, unrounded, arrays) / quantization.scale
    return np.abs(units - np.floor(units) - 0.5)
