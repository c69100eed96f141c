"""Float files: imported as float modules that compute what ONNX Runtime does, up to single precision."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx_models import OPSETS, Graph, assert_valid, for_onnxruntime, means

import mrqc

MODELS = (
    "resnet8_f32",
    "kws_dscnn_f32",
    "vww_mobilenet_f32",
    "ad_autoencoder_f32",
    "repvgg_cifar10_branches_f32",
    "repvgg_cifar10_deploy_f32",
)


def agree(path: Path, images: NDArray[Any]) -> None:
    module = mrqc.load(path)
    content = for_onnxruntime(onnx.load(path))
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    (port,) = session.get_inputs()
    wanted = np.concatenate([session.run(None, {port.name: image[None]})[0] for image in images])
    (found,) = mrqc.reference(module).run(images).values()
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5 * max(1.0, np.abs(wanted).max()))


@pytest.mark.parametrize("name", MODELS)
def test_a_float_file_computes_what_the_runtime_does(name: str, assets: Path) -> None:
    path = assets / "models" / f"{name}.onnx"
    (port,) = mrqc.load(path).graph.inputs
    images = np.random.default_rng(3).normal(0, 1, (3, *port.type.shape[1:])).astype(np.float32)
    agree(path, images)


def network(graph: Graph) -> str:
    """One of each float operator that no shared model has."""
    random = np.random.default_rng(5)

    def numbers(*shape: int) -> str:
        return graph.constant(random.normal(0, 0.3, shape).astype(np.float32))

    x = graph.input("x", ("N", 4, 6, 6))
    ones = graph.constant(np.ones(3, np.float32))
    positive = graph.constant(np.full(4, 0.5, np.float32))
    image = graph.node("BatchNormalization", x, numbers(4), numbers(4), numbers(4), positive)
    image = graph.node("PRelu", image, numbers(4, 1, 1))
    image = graph.node("ConvTranspose", image, numbers(4, 3, 3, 3), numbers(3), strides=[2, 2], output_padding=[1, 1])
    image = graph.node("BatchNormalization", image, numbers(3), numbers(3), numbers(3), ones)
    image = graph.node("Max", graph.node("Elu", image), graph.node("Tanh", image))
    image = graph.node("Sub", graph.node("HardSigmoid", image), graph.node("Div", image, numbers(3, 1, 1)))
    blocks = graph.node("SpaceToDepth", image, blocksize=2)
    image = graph.node("Concat", blocks, graph.node("HardSwish" if graph.opset >= 14 else "Sigmoid", blocks), axis=1)
    image = graph.node("DepthToSpace", image, blocksize=2, **({"mode": "CRD"} if graph.opset >= 11 else {}))
    rows = means(graph, image, keep_dims=0)
    return graph.node("LogSoftmax", graph.node("Dropout", rows), axis=1)


@pytest.mark.parametrize("opset", OPSETS)
def test_operators_of_every_kind(opset: int, tmp_path: Path) -> None:
    graph = Graph(opset)
    graph.output(network(graph))
    assert_valid(graph.model())
    agree(graph.save(tmp_path), np.random.default_rng(6).normal(0, 1, (2, 4, 6, 6)).astype(np.float32))
