"""Generated ONNX files of one operator each, and the check that mrqc computes what ONNX Runtime does, byte for byte."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import onnxruntime
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto
from onnx_models import OPSETS, Graph, for_onnxruntime

import mrqc

Arrays: TypeAlias = dict[str, NDArray[Any]]

EXAMPLES = int(os.environ.get("MRQC_SINGLE_OP_EXAMPLES", "200"))
"""Cases for each operator, shared out to its types of elements."""

TARGET = "onnxruntime"
NUMPY: dict[str, Any] = {"i8": np.int8, "u8": np.uint8}
ELEMENT_TYPES = {"i8": TensorProto.INT8, "u8": TensorProto.UINT8}
MICROSOFT = "com.microsoft"

_ON_CODES = ("QLinear", "QGemm", "MaxPool")

SAFE_SESSION: dict[str, dict[str, str]] = {
    # On a processor without VNNI the kernels for u8 times i8 add two products in 16 bits, and saturate. This entry
    # makes the runtime turn such weights into u8, whose kernels are exact.
    "u8": {"session.x64quantprecision": "1"},
    # Lets the runtime fuse DequantizeLinear, operator, QuantizeLinear of i8 as it always does for u8.
    "i8": {"session.qdqisint8allowed": "1"},
}
"""What the sessions are told, by the type of the activations."""


@dataclass(frozen=True)
class SingleOnnxCase:
    """A file with one operator, and several sets of inputs."""

    content: bytes
    rows: tuple[Arrays, ...]


@dataclass(frozen=True)
class OnnxCases:
    """What is drawn for one operator on one type of elements."""

    operator: str
    dtype: str
    strategy: SearchStrategy[SingleOnnxCase]

    @property
    def form(self) -> str:
        """Whether the operator works on codes, or between DequantizeLinear and QuantizeLinear."""
        return "QOperator" if self.operator.startswith(_ON_CODES) else "QDQ"

    def __str__(self) -> str:
        return f"{self.operator}-{self.dtype}"


ONNX_REGISTRY: list[OnnxCases] = []
_Draw: TypeAlias = Callable[[DrawFn, str], SingleOnnxCase]


def onnx_cases(operator: str, *dtypes: str) -> Callable[[_Draw], _Draw]:
    """Register a function that draws a case of ``operator`` for each of ``dtypes``."""

    def register(function: _Draw) -> _Draw:
        ONNX_REGISTRY.extend(OnnxCases(operator, dtype, st.composite(function)(dtype)) for dtype in dtypes)
        return function

    return register


def examples_for(cases: OnnxCases) -> int:
    """Return how many cases are drawn."""
    return math.ceil(EXAMPLES / sum(other.operator == cases.operator for other in ONNX_REGISTRY))


def check(cases: OnnxCases) -> int:
    """Draw the cases of an operator, always the same ones, compare each with ONNX Runtime, and return their number.

    Raises:
        AssertionError: One differs; hypothesis shows the smallest that it finds.
    """
    agreed = 0

    @settings(
        max_examples=examples_for(cases),
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),
    )
    @given(cases.strategy)
    def compare(drawn: SingleOnnxCase) -> None:
        nonlocal agreed
        compare_case(drawn, SAFE_SESSION[cases.dtype])
        agreed += 1

    compare()
    return agreed


def session_of(
    content: bytes | str, config: dict[str, str], optimized: Path | None = None
) -> onnxruntime.InferenceSession:
    """Return a session in one thread; what the runtime makes of the model goes into a file, if one is named."""
    if isinstance(content, bytes):
        content = for_onnxruntime(ModelProto.FromString(content))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    if optimized is not None:
        options.optimized_model_filepath = str(optimized)
    for key, entry in config.items():
        options.add_session_config_entry(key, entry)
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def compare_case(drawn: SingleOnnxCase, config: dict[str, str]) -> None:
    """Assert that the simulator gives the bytes of ONNX Runtime."""
    session = session_of(drawn.content, config)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "single.onnx"
        path.write_bytes(drawn.content)
        module = mrqc.load(path)
    lowered = mrqc.lower(module, TARGET)
    program, types = mrqc.simulate(lowered), {output.name: output.value.type for output in lowered.graph.outputs}
    names = [output.name for output in session.get_outputs()]
    for row in drawn.rows:
        found = program.run(row)
        for name, wanted in zip(names, session.run(names, row), strict=True):
            quantization = types[name].quantization
            if wanted.dtype == np.float32 and quantization is not None:
                # The DequantizeLinear at the end is the host's.
                found[name] = (found[name].astype(np.int32) - quantization.zero_point) * np.float32(quantization.scale)
                found[name] = found[name].astype(np.float32)
            assert (found[name].dtype, found[name].shape) == (wanted.dtype, wanted.shape)
            wrong = np.argwhere(found[name] != wanted)
            lines = [f"at {at.tolist()}: {found[name][tuple(at)]}, runtime {wanted[tuple(at)]}" for at in wrong[:5]]
            assert not lines, f"{module}\n{len(wrong)} of {wanted.size} differ\n" + "\n".join(lines)


@dataclass
class SingleOp:
    """A file of one operator while it is drawn."""

    draw: DrawFn
    dtype: str
    graph: Graph

    @classmethod
    def new(cls, draw: DrawFn, dtype: str, oldest: int = 13) -> SingleOp:
        """Begin a file of some operator set from ``oldest`` on."""
        graph = Graph(draw(st.sampled_from(OPSETS[OPSETS.index(oldest) :])))
        graph.extra_domains.append(MICROSOFT)
        return cls(draw, dtype, graph)

    @property
    def limits(self) -> Any:
        return np.iinfo(NUMPY[self.dtype])

    def integer(self, low: int, high: int) -> int:
        return self.draw(st.integers(low, high))

    def random(self) -> np.random.Generator:
        return np.random.default_rng(self.draw(st.integers(0, 2**32 - 1)))

    def scale(self, low: float = -7, high: float = 1) -> np.float32:
        """Return a scale, a power of two now and then."""
        return np.float32(2.0 ** self.draw(st.one_of(st.floats(low, high), st.integers(int(low), int(high)))))

    def zero_point(self) -> Any:
        choices = st.one_of(st.sampled_from((0, self.limits.min)), st.integers(self.limits.min, self.limits.max))
        return NUMPY[self.dtype](self.draw(choices))

    def scheme(self, scale: Any) -> tuple[str, str]:
        return self.graph.constant(np.float32(scale)), self.graph.constant(np.asarray(self.zero_point()))

    def input(self, name: str, shape: tuple[int, ...]) -> str:
        return self.graph.input(name, shape, ELEMENT_TYPES[self.dtype])

    def codes(self, shape: tuple[int, ...], low: int | None = None, high: int | None = None) -> NDArray[Any]:
        dtype = NUMPY[self.dtype]
        low, high = self.limits.min if low is None else low, self.limits.max if high is None else high
        return self.random().integers(low, high, shape, dtype, endpoint=True)

    def node(self, op_type: str, *inputs: str, domain: str = MICROSOFT, **attributes: Any) -> SingleOnnxCase:
        """Finish with this node, whose result is the output."""
        self.graph.output(self.graph.node(op_type, *inputs, domain=domain, **attributes), ELEMENT_TYPES[self.dtype])
        return self.case()

    def finish_with_reals(self, codes: str) -> SingleOnnxCase:
        """Finish with a DequantizeLinear of codes that keep the scheme of the input."""
        self.graph.output(self.graph.node("DequantizeLinear", codes, *self.scheme(self.scale())), TensorProto.FLOAT)
        return self.case()

    def case(self) -> SingleOnnxCase:
        """Return the case: all least, all greatest, and random codes, some of them mostly extremes."""
        random = self.random()
        shapes = {
            port.name: tuple(extent.dim_value for extent in port.type.tensor_type.shape.dim)
            for port in self.graph.inputs
        }
        kinds = ("least", "greatest", "random", "narrow", "extremes")
        rows = [{name: self._filled(kind, shape, random) for name, shape in shapes.items()} for kind in kinds]
        return SingleOnnxCase(self.graph.model().SerializeToString(), tuple(rows))

    def _filled(self, kind: str, shape: tuple[int, ...], random: np.random.Generator) -> NDArray[Any]:
        low, high = self.limits.min, self.limits.max
        if kind in ("least", "greatest"):
            return np.full(shape, low if kind == "least" else high, NUMPY[self.dtype])
        if kind == "extremes":
            return random.choice(np.array([low, high, 0, 1], NUMPY[self.dtype]), shape)
        if kind == "narrow":
            middle = int(random.integers(low, high - 8))
            return random.integers(middle, middle + 8, shape, NUMPY[self.dtype], endpoint=True)
        return random.integers(low, high, shape, NUMPY[self.dtype], endpoint=True)
