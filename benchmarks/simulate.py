"""How fast the simulator runs a network of the shape of MobileNetV2 1.0 (53 layers with random weights).

    python benchmarks/simulate.py [--images N] [--multiplier-bits 0|31]

Prints seconds per image, the peak of resident memory, and how many times faster the simulator is than plain
numpy int64 im2col products on the layers that see 28 x 28 pixels or fewer, with the results compared bit by
bit.
"""

import argparse
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from mrqc.analysis.accumulators import accumulator_bounds
from mrqc.backends.simulator import Program
from mrqc.ir import Data, DType, Element, GraphBuilder, Module, Output, Statement, TensorType, Value
from mrqc.numerics import Rounding, divide_by_power_of_two, im2col
from mrqc.ops.int import Add, AveragePool2D, Constant, Conv2D, FullyConnected, Requantize, Reshape

CODES = Element.per_tensor(DType.I8, 0.05)
WEIGHTS = Element.per_tensor(DType.I8, 0.01)
BIASES = Element.per_tensor(DType.I32, 0.0005)
# (expansion, channels, repeats, stride) of Table 2 in the MobileNetV2 paper, arXiv:1801.04381.
BLOCKS = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
SMALL = 28


@dataclass
class RandomNetwork:
    """Emits layers with random weights whose results spread over the codes of i8."""

    multiplier_bits: int
    builder: GraphBuilder = field(default_factory=GraphBuilder)
    random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(1))

    def constant(self, values: np.ndarray, element: Element) -> Value:
        return self.builder.emit(Constant(Data(values.astype(element.dtype.numpy)), element))

    def weights(self, shape: tuple[int, ...]) -> tuple[Value, Value]:
        weights = np.clip(np.rint(self.random.normal(0, 24, shape)), -127, 127)
        return self.constant(weights, WEIGHTS), self.constant(self.random.integers(-999, 999, shape[:1]), BIASES)

    def requantize(self, taps: int, low: int = -128) -> Requantize:
        """Scale sums of ``taps`` products of codes and weights, both some 24 wide, to about 40."""
        shift = max(0, round(np.log2(24 * 24 * np.sqrt(taps) / 40)))
        if not self.multiplier_bits:
            return Requantize((1,), (shift,), Rounding.HALF_UP, 0, low, 127)
        bits = self.multiplier_bits
        multiplier = int(self.random.integers(1 << (bits - 1), 1 << bits))
        return Requantize((multiplier,), (shift + bits - 1,), Rounding.HALF_UP, 0, low, 127)

    def conv(self, x: Value, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1, low: int = 0) -> Value:
        depth = x.type.shape[3] // groups
        weight, bias = self.weights((outputs, kernel, kernel, depth))
        # What "same" padding of an even image with stride 2 asks for.
        before, after = ((kernel - 1) // 2, kernel // 2) if stride == 1 else (0, 1)
        return self.builder.emit(
            Conv2D(
                x,
                weight,
                bias,
                strides=(stride, stride),
                padding=(before, before, after, after),
                groups=groups,
                requantize=self.requantize(kernel * kernel * depth, low),
                element=CODES,
            )
        )

    def block(self, x: Value, expansion: int, outputs: int, stride: int) -> Value:
        channels = x.type.shape[3]
        wide = self.conv(x, channels * expansion) if expansion > 1 else x
        wide = self.conv(wide, channels * expansion, 3, stride, channels * expansion)
        narrow = self.conv(wide, outputs, low=-128)
        if stride != 1 or channels != outputs:
            return narrow
        requantize = Requantize((1,), (1,), Rounding.HALF_UP, 0, -128, 127)
        return self.builder.emit(Add(x, narrow, 1, 1, requantize, CODES))


def mobilenet_v2(multiplier_bits: int) -> Module:
    network = RandomNetwork(multiplier_bits)
    image = network.builder.add_input("image", TensorType((1, 224, 224, 3), CODES))
    x = network.conv(image, 32, 3, 2)
    for expansion, channels, repeats, stride in BLOCKS:
        for index in range(repeats):
            x = network.block(x, expansion, channels, stride if index == 0 else 1)
    x = network.conv(x, 1280)
    average = Requantize((1,), (5,), Rounding.HALF_UP, 0, -128, 127)
    x = network.builder.emit(AveragePool2D(x, (7, 7), (1, 1), (0, 0, 0, 0), average, CODES))
    x = network.builder.emit(Reshape(x, (1, 1280)))
    weight, bias = network.weights((1001, 1280))
    x = network.builder.emit(
        FullyConnected(x, weight, bias, requantize=network.requantize(1280), element=CODES), name="logits"
    )
    return Module("mobilenet_v2", network.builder.finish([Output("logits", x)]))


def plain_convolution(statement: Statement, values: dict[str, np.ndarray]) -> np.ndarray:
    """Return a convolution the obvious way: int64 im2col, one product for each group."""
    op = statement.op
    assert isinstance(op, Conv2D)
    assert op.bias is not None
    images, weights = values[op.input.name].astype(np.int64), values[op.weight.name].astype(np.int64)
    outputs, depth = weights.shape[0] // op.groups, weights.shape[3]
    sums = [
        im2col(images[..., group * depth : (group + 1) * depth], op.window)
        @ weights[group * outputs : (group + 1) * outputs].reshape(outputs, -1).T
        for group in range(op.groups)
    ]
    accumulators = np.concatenate(sums, axis=1) + values[op.bias.name]
    requantize = op.requantize
    products = accumulators * np.asarray(requantize.multiplier)
    codes = divide_by_power_of_two(products, np.asarray(requantize.shift), requantize.rounding)
    codes = np.clip(codes + requantize.zero_point, requantize.minimum, requantize.maximum)
    return codes.astype(np.int8).reshape(images.shape[0], *op.output_shape[1:])


def one_layer(statement: Statement, values: dict[str, np.ndarray]) -> Program:
    """Return a program of one convolution with its constants."""
    op = statement.op
    assert isinstance(op, Conv2D)
    builder = GraphBuilder()
    image = builder.add_input(op.input.name, op.input.type)
    builder.bind(op.input, image)
    for operand in (op.weight, op.bias):
        assert operand is not None
        builder.bind(operand, builder.emit(Constant(Data(values[operand.name]), operand.type.element)))
    result = builder.emit(op.map_operands(builder.lookup))
    return Program(Module("layer", builder.finish([Output("y", result)])))


def compare(module: Module, values: dict[str, np.ndarray]) -> tuple[float, float, int]:
    """Return the seconds of the plain way and of the simulator on the small layers, and how many codes differ."""
    plain_seconds = simulator_seconds = 0.0
    differing = 0
    for statement in module.graph.statements:
        if not isinstance(statement.op, Conv2D) or statement.op.input.type.shape[1] > SMALL:
            continue
        program, images = one_layer(statement, values), values[statement.op.input.name]
        differing += int(np.count_nonzero(program(images) != plain_convolution(statement, values)))
        simulator_seconds += best_seconds(partial(program, images))
        plain_seconds += best_seconds(partial(plain_convolution, statement, values))
    return plain_seconds, simulator_seconds, differing


def peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=32)
    parser.add_argument("--multiplier-bits", type=int, default=0, help="0 for shifts alone")
    options = parser.parse_args()
    module = mobilenet_v2(options.multiplier_bits)
    contractions = sum(isinstance(statement.op, Conv2D | FullyConnected) for statement in module.graph.statements)
    widest = max(bound.needs_bits for bound in accumulator_bounds(module).values())
    print(f"{contractions} convolutions and fully connected layers, accumulators of at most {widest} bits")
    before = peak_megabytes()
    start = time.perf_counter()
    program = Program(module)
    print(f"prepared in {time.perf_counter() - start:.3f} s")
    images = np.random.default_rng(2).integers(-128, 128, (options.images, 224, 224, 3)).astype(np.int8)
    program(images[:1])
    print(f"one image: {best_seconds(lambda: program(images[:1])):.3f} s")
    seconds = best_seconds(lambda: program(images)) / options.images
    print(f"{options.images} images: {seconds:.3f} s per image")
    print(f"peak memory {peak_megabytes():.0f} MB, {peak_megabytes() - before:.0f} MB more than before")
    plain, simulator, differing = compare(module, program.trace(images[:1]))
    print(
        f"layers of at most {SMALL} x {SMALL}: plain int64 im2col {plain:.3f} s, simulator {simulator:.3f} s, "
        f"{plain / simulator:.0f} times faster, {differing} codes differ"
    )


def best_seconds(run: Callable[[], object]) -> float:
    """Return the shortest of three runs: the others were disturbed."""
    seconds: list[float] = []
    for _ in range(3):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


if __name__ == "__main__":
    main()
