"""Strategies for whole modules, and for what to feed them."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from mrqc.ir import FLOAT, DType, Element, Module, Op, Output, TensorType, Value
from mrqc.ops import NN_OPS, nn
from mrqc.ops import int as int_ops
from mrqc.ops.int.contraction import ACTIVATION_DTYPES
from mrqc.testing.draft import OP_STRATEGIES, ROW_LIMIT, Draft, Limits, Scheme, Spread, is_activation
from mrqc.testing.types import label_scales

NN_LAYERS: tuple[type[Op], ...] = (
    *(nn.Conv2D,) * 4,
    *(nn.Add,) * 2,
    nn.FullyConnected,
    nn.AveragePool2D,
    nn.MaxPool2D,
    nn.Mean,
    nn.Clip,
    nn.Reshape,
    nn.Transpose,
    nn.Quantize,
)
"""What the middle of an nn module consists of; a softmax comes at its end, floats at its borders.

What stands here more than once is drawn as much more often."""

INT_LAYERS: tuple[type[Op], ...] = (
    *(int_ops.Conv2D,) * 6,
    *(int_ops.Add,) * 4,
    int_ops.RescaledAdd,
    int_ops.Mul,
    int_ops.Maximum,
    int_ops.Prelu,
    int_ops.FullyConnected,
    int_ops.TransposeConv2D,
    int_ops.AveragePool2D,
    int_ops.MeanPool2D,
    int_ops.MaxPool2D,
    int_ops.Sum,
    int_ops.Clamp,
    int_ops.Table,
    int_ops.Reshape,
    int_ops.Transpose,
    int_ops.Rescale,
    int_ops.Relabel,
    int_ops.DoubleRescale,
    int_ops.Softmax,
    int_ops.ReciprocalSoftmax,
    int_ops.LogSoftmax,
    int_ops.InterpolatedSoftmax,
)
"""What int modules consist of, all of it possible in C; what stands here more than once is drawn as much more often."""

SMALL = Limits()

INPUT_SPREADS = (Spread(0.0, 1.0), Spread(-1.0, 1.0), Spread(-2.1, 2.6))
"""Ranges of input images: pixels from zero, around zero, and less their mean over their deviation."""


def schemes() -> st.SearchStrategy[Scheme]:
    """Return a strategy for what exporters do; shrinks to symmetric i8 with power-of-two scales."""
    symmetric = st.builds(Scheme, st.just(DType.I8), st.just(True), st.sampled_from((True, False)), st.booleans())
    asymmetric = st.builds(Scheme, st.sampled_from((DType.I8, DType.U8)), st.just(False), st.booleans(), st.booleans())
    return st.one_of(symmetric, asymmetric)


@st.composite
def nn_modules(
    draw: st.DrawFn,
    *,
    layers: Sequence[type[Op]] = NN_LAYERS,
    max_layers: int = 6,
    limits: Limits = SMALL,
    float_io: bool | None = False,
    awkward_names: bool | None = None,
    scheme: Scheme | None = None,
) -> Module:
    """Return a strategy for quantized nn modules as an importer leaves them after folding.

    Chains and graphs with residual additions; one quantization scheme throughout; scales fitted to the
    values, so that most codes are not saturated; biases on the grid of the products. The leading axis of
    every value is the batch.

    Args:
        draw: Supplied by hypothesis.
        layers: The ops between input and output, repeated ones more often; constants, softmax and float
            borders come by themselves.
        max_layers: Greatest number of those ops.
        limits: Size of the tensors.
        float_io: Whether inputs and outputs are f32 behind nn.quantize and nn.dequantize; None for either.
        awkward_names: Whether names contain spaces, quotes and the like; None for either.
        scheme: How the exporter quantizes, 16-bit activations included; None for one of :func:`schemes`.
    """
    draft = Draft(draw, limits, draw(schemes()) if scheme is None else scheme, _choose(draw, awkward_names))
    if is_float := _choose(draw, float_io):
        real = draft.add_input("input", TensorType(draw(_shapes(limits)), FLOAT))
        OP_STRATEGIES[nn.Quantize].extend(draft, real)
        draft.values.remove(real)
    else:
        element = draft.element_for(draw(st.sampled_from(INPUT_SPREADS)))
        _add_inputs(draft, draw(_shapes(limits)), element)
    _grow(draft, layers, max_layers)
    if draw(st.booleans()) and is_activation(limits, draft.values[-1]):
        OP_STRATEGIES[nn.Softmax].extend(draft, draft.values[-1])
    results = _results(draft)
    if is_float:
        results = [OP_STRATEGIES[nn.Dequantize].extend(draft, value) for value in results]
    return _finished(draft, results)


@st.composite
def int_modules(
    draw: st.DrawFn,
    *,
    layers: Sequence[type[Op]] = INT_LAYERS,
    max_layers: int = 5,
    limits: Limits = SMALL,
    awkward_names: bool | None = None,
) -> Module:
    """Return a strategy for valid int modules, whose accumulators cannot leave 32 bits.

    Every rounding; shifts alone and multipliers; entries for all channels and for each; i8, u8 and i16. The
    leading axis of every value is the batch.

    Args:
        draw: Supplied by hypothesis.
        layers: The ops to choose from, repeated ones more often; constants come by themselves.
        max_layers: Greatest number of those ops.
        limits: Size of the tensors.
        awkward_names: Whether names contain spaces, quotes and the like; None for either.
    """
    draft = Draft(draw, limits, awkward=_choose(draw, awkward_names))
    _add_inputs(draft, draw(_shapes(limits)), draw(_integer_elements(draw(st.sampled_from(ACTIVATION_DTYPES)))))
    _grow(draft, layers, max_layers)
    return _finished(draft, _results(draft))


@st.composite
def op_modules(draw: st.DrawFn, op: type[Op], *, limits: Limits = SMALL) -> Module:
    """Return a strategy for modules that hold one ``op``, with the constants that it needs.

    Args:
        draw: Supplied by hypothesis.
        op: An op of either dialect.
        limits: Size of the tensors.
    """
    strategy = OP_STRATEGIES[op]
    draft = Draft(draw, limits, draw(schemes()))
    candidates = [
        Value("input", TensorType(shape, element))
        for shape in (draw(_image_shapes(limits)), draw(_matrix_shapes(limits)))
        for element in (*_activation_elements(draft, op), FLOAT)
    ]
    accepted = [value.type for value in candidates if strategy.accepts(limits, value)]
    operand = draft.add_input("input", draw(st.sampled_from(accepted)))
    return _finished(draft, [strategy.extend(draft, operand)])


def _choose(draw: st.DrawFn, fixed: bool | None) -> bool:
    return draw(st.booleans()) if fixed is None else fixed


def _image_shapes(limits: Limits) -> st.SearchStrategy[tuple[int, ...]]:
    extents = st.integers(1, limits.spatial)
    return st.tuples(st.integers(1, limits.batch), extents, extents, st.integers(1, limits.channels))


def _matrix_shapes(limits: Limits) -> st.SearchStrategy[tuple[int, ...]]:
    longest = min(ROW_LIMIT, 5 * limits.spatial * limits.channels)
    return st.tuples(st.integers(1, limits.batch), st.integers(1, longest))


def _shapes(limits: Limits) -> st.SearchStrategy[tuple[int, ...]]:
    """Return a strategy for the shapes of inputs: images three times as often as rows."""
    image = _image_shapes(limits)
    return st.one_of(image, image, image, _matrix_shapes(limits))


def _activation_elements(draft: Draft, op: type[Op]) -> list[Element]:
    """Return what a lone op's input may consist of, one element of each width."""
    if op in NN_OPS:
        return [draft.element_for(draft.draw(st.sampled_from(INPUT_SPREADS)))]
    return [draft.draw(_integer_elements(dtype)) for dtype in ACTIVATION_DTYPES]


def _integer_elements(dtype: DType) -> st.SearchStrategy[Element]:
    """Return a strategy for what an int module's inputs consist of."""
    zero_points = st.integers(dtype.minimum, dtype.maximum)
    return st.builds(Element.per_tensor, st.just(dtype), label_scales(), zero_points)


def _add_inputs(draft: Draft, shape: tuple[int, ...], element: Element) -> None:
    """Declare one input, at times a second one that can be added to it."""
    if draft.draw(st.integers(0, 4)) == 4:
        draft.add_input("second", TensorType(shape, element))
    draft.add_input("input", TensorType(shape, element))


def _grow(draft: Draft, layers: Sequence[type[Op]], max_layers: int) -> None:
    """Append up to ``max_layers`` ops, each mostly on the latest value."""
    for _ in range(draft.draw(st.integers(1, max_layers))):
        latest = draft.values[-1]
        operand = draft.draw(st.sampled_from((latest, latest, latest, *draft.values)))
        fitting = [op for op in layers if OP_STRATEGIES[op].accepts(draft.limits, operand)]
        if fitting:
            OP_STRATEGIES[draft.draw(st.sampled_from(fitting))].extend(draft, operand)


def _results(draft: Draft) -> list[Value]:
    """Return the values that nothing uses, and perhaps one from the middle."""
    graph = draft.builder.finish(())
    computed = [value for value in draft.values if value not in graph.inputs] or draft.values
    results = [value for value in computed if value not in graph.uses]
    inner = [value for value in computed if value in graph.uses]
    if inner and draft.draw(st.integers(0, 4)) == 4:
        results.append(draft.draw(st.sampled_from(inner)))
    return results


def _finished(draft: Draft, results: Sequence[Value]) -> Module:
    """Return the module with distinct output names."""
    names: list[str] = []
    for index in range(len(results)):
        wanted = draft.name("output" if index == 0 else f"output_{index}")
        names.append(wanted if wanted not in names else f"{wanted}_{index}")
    outputs = [Output(name, value) for name, value in zip(names, results, strict=True)]
    module = Module("drawn", draft.builder.finish(outputs))
    return module.with_facts(source=draft.name("model.onnx"))
