"""Every limit of the schemes, broken once: what is said names the key of the target file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from networks import Network

from mrqc.errors import TargetError
from mrqc.ir import DType, Element, Module, Quantization, Value
from mrqc.numerics import Rounding
from mrqc.ops import int as int_ops
from mrqc.ops import nn
from mrqc.passes import Canonicalize, Legalize, LowerToInt
from mrqc.targets import load_target, parse_target


def element(exponent: float, dtype: DType = DType.I8, zero_point: int = 0) -> Element:
    return Element.per_tensor(dtype, 2.0**exponent, zero_point)


def lowered(module: Module, name: str) -> Module:
    target = load_target(name)
    return Legalize(target)(Canonicalize()(LowerToInt(target)(module)))


def refused(module: Module, name: str, message: str) -> None:
    with pytest.raises(TargetError, match=message):
        lowered(module, name)


def layer(
    result: Element,
    weight: Element | None = None,
    bias: tuple[int, Element] | None = None,
    source: Element | None = None,
    code: int = 3,
    fully_connected: bool = False,
) -> Module:
    """Input, one contraction behind a clip, and a clip: no label of interest is that of an input or output."""
    net = Network()
    source = source or element(-5)
    assert source.quantization is not None
    shape = (1, 2) if fully_connected else (1, 2, 2, 2)
    x = net.input(shape, source.quantization.scale, source.quantization.zero_point, source.dtype)
    x = net.emit(nn.Clip(x, (0.0, 1e6), source), "clip")
    codes = np.full((3, 2) if fully_connected else (3, 1, 1, 2), code)
    kernel = net.constant(codes, weight or element(-6))
    offset = None if bias is None else net.constant([bias[0]] * 3, bias[1])
    kind = nn.FullyConnected if fully_connected else nn.Conv2D
    y = net.emit(kind(x, kernel, offset, element=result), "layer")
    return net.finish(net.emit(nn.Sigmoid(y, element(-7)), "end"))


def pair(op: Callable[..., Any], lhs: Element, rhs: Element, result: Element) -> Module:
    net = Network()
    operands: list[Value] = []
    for name, each in (("a", lhs), ("b", rhs)):
        assert each.quantization is not None
        operands.append(net.input((1, 2), each.quantization.scale, each.quantization.zero_point, each.dtype, name))
    return net.finish(net.emit(op(*operands, element=result), "pair"))


def pool(kernel: int, source: Element, result: Element) -> Module:
    net = Network()
    assert source.quantization is not None
    x = net.input((1, kernel, kernel, 2), source.quantization.scale, 0, source.dtype)
    return net.finish(net.emit(nn.AveragePool2D(x, (kernel, kernel), element=result), "pool"))


SHIFTS = [
    ("xint8", layer(element(5)), True),
    ("xint8", layer(element(6)), r"right shift by 17, outside \[0, 16\] \(requantize.shift\)"),
    ("xint8", layer(element(-11)), True),
    ("xint8", layer(element(-12)), r"right shift by -1, outside \[0, 16\] \(requantize.shift\)"),
    ("pow2-npu", layer(element(6)), True),
    ("xint8", pair(nn.Add, element(0), element(-7), element(0)), True),
    ("xint8", pair(nn.Add, element(0), element(-8), element(0)), r"lie 8 bits apart.*\(ops.int.add.operand_shift\)"),
    ("xint8", pair(nn.Add, element(0), element(0), element(25)), True),
    ("xint8", pair(nn.Add, element(0), element(-3), element(26)), r"outside \[-7, 25\] \(ops.int.add.shift\)"),
    ("xint8", pair(nn.Add, element(0), element(-3), element(-7)), True),
    ("xint8", pair(nn.Sub, element(0), element(-3), element(-8)), r"outside \[-7, 25\] \(ops.int.add.shift\)"),
    ("xint8", pair(nn.Mul, element(-20), element(-12), element(0)), True),
    ("xint8", pair(nn.Mul, element(-20), element(-13), element(0)), r"outside \[0, 32\] \(ops.int.mul.shift\)"),
    ("xint8", pair(nn.Mul, element(0), element(0), element(-1)), r"outside \[0, 32\] \(ops.int.mul.shift\)"),
]

STORAGE = [
    ("sym-npu-unsigned", layer(element(0, DType.U8), source=element(-5, DType.U8)), True),
    (
        "sym-npu",
        layer(element(0), source=element(-5, DType.U8)),
        r"reads u8, the target stores activations as i8 \(activation.dtype\)",
    ),
    ("pow2-npu", layer(element(0, DType.U8)), r"gives u8, the target stores .* i8 \(activation.dtype\)"),
    ("pow2-npu-unsigned", layer(element(0, DType.I16)), r"gives i16, .* as i8 or u8 \(activation.dtype\)"),
    ("pow2-npu-unsigned", layer(element(0), source=element(-5, DType.U8, 7)), "has zero point 7"),
    ("pow2-npu-unsigned", layer(element(0, DType.U8, 7)), r"zero point 7, .* symmetric \(activation.symmetric\)"),
    ("asym-npu-i8", layer(element(0, DType.I8, 7), source=element(-5, DType.I8, -9)), True),
    ("sym-npu", layer(element(0), element(-6, DType.U8)), r"weights are u8, the target holds i8 \(weight.dtype\)"),
    ("sym-npu", layer(element(0), element(-6, DType.I8, 3)), "its weights are not symmetric"),
    ("asym-npu-u8", layer(element(0, DType.U8, 9), element(-6, DType.U8, 3), source=element(-5, DType.U8, 2)), True),
    ("pow2-npu", layer(element(0), code=-128), r"weights reach -128, .* -127 to 127 \(weight.range\)"),
    ("esp32-s3", layer(element(0), code=-128), True),
]

PER_CHANNEL = Element(DType.I8, Quantization.per_axis([2.0**-6, 2.0**-7, 2.0**-8], [0] * 3, 0))

GRANULARITY = [
    ("pow2-npu", layer(element(0), PER_CHANNEL), r"a scale for each channel.*\(weight.granularity\)"),
    ("pow2-npu-per-channel", layer(element(0), PER_CHANNEL), True),
    ("esp32-p4", layer(element(0), PER_CHANNEL), True),
    ("esp32-p4", layer(element(0), PER_CHANNEL, fully_connected=True), r"\(weight.per_tensor_ops\)"),
    ("pow2-npu-per-channel", layer(element(0), PER_CHANNEL, fully_connected=True), True),
]

ODD = Element.per_tensor(DType.I8, 0.75)

SCALES = [
    ("pow2-npu", layer(Element.per_tensor(DType.I8, 0.75), Element.per_tensor(DType.I8, 0.75 / 64)), True),
    (
        "pow2-scale-npu",
        layer(ODD, Element.per_tensor(DType.I8, 0.75 / 64)),
        r"layer: weights have scale 0.0117188, no power of two \(weight.scale\)|\(activation.scale\)",
    ),
    (
        "pow2-scale-npu",
        layer(element(0), source=ODD, weight=Element.per_tensor(DType.I8, 2.0**-6 / 0.75)),
        r"clip: its result has scale 0.75, no power of two \(activation.scale\)",
    ),
    ("xint8", pool(3, element(-4), element(-4)), True),
    ("xint8", pool(4, element(-4), element(-3)), r"different scales \(ops.int.average_pool2d.same_scale\)"),
    ("pow2-scale-npu", pool(4, element(-4), element(-3)), True),
    ("pow2-scale-npu", pool(3, element(-4), element(-3)), r"no power of two.*\(requantize.multiplier\)"),
    ("esp32-s3", pool(3, element(-4), element(-3)), True),
]


def accumulator(shift: int, dtype: DType = DType.I32) -> Element:
    return element(-11 + shift, dtype)


BIASES = [
    ("esp32-s3", layer(element(0), bias=((1 << 19) - 1, accumulator(0))), True),
    ("esp32-s3", layer(element(0), bias=(1 << 19, accumulator(0))), r"do not fit 20 bits \(bias.bits\)"),
    ("xint8", layer(element(0), bias=(127, accumulator(0))), True),
    ("xint8", layer(element(0), bias=(127 << 9, accumulator(0))), True),
    ("xint8", layer(element(0), bias=(129 << 9, accumulator(0))), r"8 bits .*left by 9 \(bias.bits, bias.shift\)"),
    ("xint8", layer(element(0), bias=(127, accumulator(15))), True),
    ("xint8", layer(element(0), bias=(127, accumulator(16))), r"left by 16, outside \[-5, 15\] \(bias.shift\)"),
    ("xint8", layer(element(0), bias=(127, accumulator(-5))), True),
    ("xint8", layer(element(0), bias=(127, accumulator(-6))), r"left by -6, outside \[-5, 15\] \(bias.shift\)"),
    ("esp32-s3", layer(element(0), bias=(127, accumulator(1))), "its bias has scale"),
    ("pow2-npu", layer(element(0), bias=(127, accumulator(0, DType.I64))), r"stores i32 \(bias.dtype\)"),
    (
        "pow2-npu-i16",
        layer(element(0, DType.I16), bias=((1 << 39) - 1, accumulator(0, DType.I64)), source=element(-5, DType.I16)),
        True,
    ),
    (
        "pow2-npu-i16",
        layer(element(0, DType.I16), bias=(1 << 39, accumulator(0, DType.I64)), source=element(-5, DType.I16)),
        r"do not fit 40 bits \(bias.bits\)",
    ),
]


@pytest.mark.parametrize(("name", "module", "outcome"), [*SHIFTS, *STORAGE, *GRANULARITY, *SCALES, *BIASES])
def test_a_limit_is_kept_or_named(name: str, module: Module, outcome: bool | str) -> None:
    if isinstance(outcome, str):
        refused(module, name, outcome)
    else:
        assert lowered(module, name)


def changed(module: Module, **changes: Any) -> Module:
    """The module with changes to the requantization of its first layer."""
    statements = list(module.graph.statements)
    index = next(i for i, statement in enumerate(statements) if hasattr(statement.op, "requantize"))
    op: Any = statements[index].op
    statements[index] = replace(statements[index], op=replace(op, requantize=replace(op.requantize, **changes)))
    return module.with_graph(replace(module.graph, statements=tuple(statements)))


@pytest.mark.parametrize(
    ("name", "module", "changes", "message"),
    [
        ("esp32-p4", layer(element(0)), {"rounding": Rounding.HALF_UP}, "rounds half-up, the target half-even"),
        ("esp32-s3", layer(element(0)), {"rounding": Rounding.HALF_EVEN}, "rounds half-even, the target half-up"),
        (
            "sym-npu-i16",
            layer(element(0, DType.I16), source=element(-5, DType.I16)),
            {"multiplier": (1 << 16,)},
            r"a multiplier of more than 16 bits \(requantize.bits\)",
        ),
        ("pow2-npu-restricted", layer(element(0)), {"minimum": -128}, r"-128 to 127.*-127 to 127 \(activation.range\)"),
        (
            "xint8",
            pool(3, element(-4), element(-4)),
            {"multiplier": (9,)},
            r"no power of two \(requantize.multiplier\)",
        ),
    ],
)
def test_arithmetic_of_another_target_is_refused(
    name: str, module: Module, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(TargetError, match=message):
        Legalize(load_target(name))(changed(lowered(module, name), **changes))


def test_a_scale_that_only_a_relabel_reads_is_not_seen_by_hardware() -> None:
    net = Network()
    x = net.input((1, 3, 3, 2), 0.3, 0, DType.I8)
    entered = net.emit(nn.Relabel(x, (0.25 / 0.3,)), "enter")
    mean = nn.Mean(entered, (1, 2), False, Element.per_tensor(DType.I8, 0.25 * 4 / 9))
    clipped = net.emit(nn.Clip(net.emit(mean, "mean"), (0.0, 6.0), mean.element), "clip")
    inside = net.emit(nn.Relabel(clipped, (9 / 8,)), "label")
    result = net.emit(nn.Relabel(net.emit(nn.Add(inside, inside, element=element(0)), "sum"), (8 / 9,)), "leave")
    module = lowered(net.finish(result), "pow2-scale-npu")
    assert sum(isinstance(statement.op, int_ops.Relabel) for statement in module.graph.statements) == 3
    without = net.finish(net.emit(nn.Add(clipped, clipped, element=mean.element), "direct"))
    refused(without, "pow2-scale-npu", r"mean: its result has scale 0.111111, no power of two \(activation.scale\)")


def test_a_relabel_for_each_channel_is_refused() -> None:
    net = Network()
    y = net.emit(nn.Relabel(net.input((1, 2), 0.5, 0, DType.I8), (1.0, 2.0)), "label")
    refused(net.finish(y), "pow2-npu", "label: a relabel with a factor for each channel")


@pytest.mark.parametrize("name", ["tflite", "onnxruntime"])
def test_runtimes_have_no_relabel(name: str) -> None:
    net = Network()
    y = net.emit(nn.Relabel(net.input((1, 2), 0.5, 0, DType.I8), (2.0,)), "label")
    refused(net.finish(y), name, r"label: nn\.relabel")


def test_sums_that_64_bits_cannot_hold_once_multiplied_are_refused() -> None:
    """A file may ask for wide accumulators and wide multipliers; what the model needs of them decides."""
    header = 'name = "wide"\ndescription = "wide"\nextends = "sym-npu-i16"\n[requantize]\nbits = 31\n'
    target = parse_target(header + "[ops]\n", "wide.toml")
    wide = Element.per_tensor(DType.I16, 0.7)
    few, many = (
        layer(wide, bias=(1 << bits, accumulator(0, DType.I64)), source=element(-5, DType.I16)) for bits in (20, 34)
    )
    assert Legalize(target)(LowerToInt(target)(few))
    with pytest.raises(TargetError, match=r"layer: its accumulator can reach \d+, .* multiplied \(requantize.bits\)"):
        Legalize(target)(LowerToInt(target)(many))
