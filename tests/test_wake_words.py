"""Wake-word models that people run on microcontrollers: streaming networks, taken from the package that ships them."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.typing import NDArray

import mrqc
from mrqc.ir import Module, Output, without_dead_statements
from mrqc.ops import nn
from mrqc.report import verify_c

MODELS = ("okay_nabu", "alexa", "hey_jarvis", "hey_mycroft")
RATE = 16000


@pytest.fixture(scope="module")
def models() -> Path:
    found = importlib.util.find_spec("pymicro_wakeword")
    if found is not None and found.origin is not None:
        return Path(found.origin).parent / "models"
    message = "pymicro-wakeword is not installed (it exists for Linux on x86-64)"
    if os.environ.get("MRQC_REQUIRE_ASSETS") == "1":
        pytest.fail(message)
    pytest.skip(message)


def voice(seconds: float, seed: int) -> NDArray[np.int16]:
    """Something like speech: pulses of the glottis through three formants that glide from vowel to vowel."""
    random = np.random.default_rng(seed)
    count = int(seconds * RATE)
    time = np.arange(count) / RATE
    knots = np.linspace(0.0, seconds, int(4 * seconds) + 2)

    def glide(low: float, high: float) -> NDArray[np.float64]:
        return np.interp(time, knots, random.uniform(low, high, len(knots)))

    phase = np.cumsum(glide(90.0, 220.0)) / RATE
    source = np.cos(2.0 * np.pi * phase * np.arange(1, 25)[:, np.newaxis])
    pitch = np.gradient(phase) * RATE * np.arange(1, 25)[:, np.newaxis]
    gains = np.zeros_like(source)
    for low, high, width in ((280.0, 850.0, 120.0), (900.0, 2200.0, 160.0), (2400.0, 3200.0, 250.0)):
        gains += np.exp(-(((pitch - glide(low, high)) / width) ** 2))
    loudness = np.clip(glide(-0.5, 1.0), 0.0, 1.0)
    sound = loudness * (source * gains).sum(axis=0) * 2500.0 + random.normal(0.0, 60.0, count)
    return np.clip(sound, -32768, 32767).astype(np.int16)


def spectrogram(sound: NDArray[np.int16]) -> Iterator[list[float]]:
    """Yield the features of every ten milliseconds, as the models were trained on."""
    from pymicro_features import MicroFrontend

    frontend, raw, start = MicroFrontend(), sound.tobytes(), 0
    while start + 2 * RATE // 100 <= len(raw):
        found = frontend.process_samples(raw[start : start + 2 * RATE // 100])
        start += 2 * found.samples_read
        if found.features:
            yield found.features


def stream(module: Module, seconds: float, seed: int) -> NDArray[Any]:
    (value,) = module.data_inputs
    assert value.type.quantization is not None
    features = np.array(list(spectrogram(voice(seconds, seed))))
    steps = len(features) // value.type.shape[1]
    windows = features[: steps * value.type.shape[1]].reshape(steps, *value.type.shape[1:])
    return value.type.quantization.quantize(windows, -128, 127).astype(np.int8)


def with_logit(module: Module) -> Module:
    """The model without the sigmoid at its end: the probability itself is nearly always zero."""
    (sigmoid,) = (s.op for s in module.graph.statements if isinstance(s.op, nn.Sigmoid))
    kept = {state.output for state in module.states}
    outputs = (Output("logit", sigmoid.input), *(o for o in module.graph.outputs if o.name in kept))
    return without_dead_statements(module.with_graph(replace(module.graph, outputs=outputs)))


def run_by_litert(path: Path, codes: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return what goes into the sigmoid and what comes out at the end, for every step."""
    interpreter = Interpreter(
        str(path),
        num_threads=1,
        experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
        experimental_preserve_all_tensors=True,
    )
    interpreter.allocate_tensors()
    entry, end = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
    (logistic,) = (op for op in interpreter._get_ops_details() if op["op_name"] == "LOGISTIC")
    logits: list[NDArray[Any]] = []
    results: list[NDArray[Any]] = []
    for step in codes:
        interpreter.set_tensor(entry, step[np.newaxis])
        interpreter.invoke()
        logits.append(interpreter.get_tensor(logistic["inputs"][0]).copy())
        results.append(interpreter.get_tensor(end).copy())
    return np.concatenate(logits), np.concatenate(results)


@pytest.mark.parametrize("name", MODELS)
def test_every_step_is_that_of_the_runtime(name: str, models: Path) -> None:
    module = mrqc.load(models / f"{name}.tflite")
    codes = stream(module, 12.0, seed=1)
    logits, results = run_by_litert(models / f"{name}.tflite", codes)
    assert len(np.unique(logits)) > 30
    for part, name_of, expected in (
        (module, module.data_outputs[0].name, results),
        (with_logit(module), "logit", logits),
    ):
        found = mrqc.simulate(mrqc.lower(part, "tflite")).run(codes)
        np.testing.assert_array_equal(found[name_of], expected)


@pytest.mark.parametrize(("target", "least"), [("pow2-npu", 24.0), ("sym-npu", 26.0)])
@pytest.mark.parametrize("name", MODELS)
def test_another_scheme_answers_alike(name: str, target: str, least: float, models: Path) -> None:
    module = with_logit(mrqc.load(models / f"{name}.tflite"))
    lowered = mrqc.lower(module, target, stream(module, 12.0, seed=2))
    codes = stream(module, 12.0, seed=1)
    quantization = lowered.data_outputs[0].value.type.quantization
    assert quantization is not None
    expected = mrqc.reference(module).dequantized(codes)["logit"]
    found = quantization.dequantize(mrqc.simulate(lowered).run(codes)["logit"])
    noise = ((expected - found) ** 2).sum()
    assert 10.0 * np.log10((expected**2).sum() / noise) > least
    assert verify_c(lowered, {module.data_inputs[0].name: codes[:100]}).differing_bytes == 0
