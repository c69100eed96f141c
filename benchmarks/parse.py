"""How fast the textual IR is read: a long chain of small layers, and one with many weights and scales.

    python benchmarks/parse.py [--statements N] [--megabytes M]

Prints the CPU seconds to print and to parse each, and the peak of resident memory. The first parse of a process
also builds the parser from its grammar; that is measured apart.
"""

import argparse
import resource
import time
from collections.abc import Callable

import numpy as np

from mrqc.ir import Data, DType, Element, GraphBuilder, Location, Module, Output, Quantization, TensorType, Value
from mrqc.ir.text import parse_module, print_module
from mrqc.numerics import Rounding
from mrqc.ops import OPS_BY_MNEMONIC
from mrqc.ops.int import Add, Clamp, Constant, Conv2D, Requantize, Rescale

CODES = Element.per_tensor(DType.I8, 0.05)
SHIFT = Requantize((1,), (7,), Rounding.HALF_UP, 0, -128, 127)
WEIGHTS_OF_A_LAYER = 65536


def chain(statements: int) -> Module:
    """Return ``statements`` statements, by turns a convolution, a rescale, an addition and a clamp."""
    builder = GraphBuilder()
    value = start = builder.add_input("input", TensorType((1, 8, 8, 16), CODES))
    weight = builder.emit(Constant(Data(np.ones((16, 3, 3, 16), np.int8)), CODES), Location(("weight",)))
    bias = builder.emit(Constant(Data(np.ones(16, np.int32)), Element.per_tensor(DType.I32, 0.0025)))
    for index in range(statements - 2):
        location = Location((f"layer_{index}/convolution", f"layer_{index}/relu"))
        layers: tuple[Callable[[Value], Value], ...] = (
            lambda x, at=location: builder.emit(
                Conv2D(x, weight, bias, padding=(1, 1, 1, 1), requantize=SHIFT, element=CODES), at
            ),
            lambda x, at=location: builder.emit(Rescale(x, 3, SHIFT, CODES), at),
            lambda x, at=location: builder.emit(Add(x, start, 1, 2, SHIFT, CODES), at),
            lambda x, at=location: builder.emit(Clamp(x, 0, 96), at),
        )
        value = layers[index % 4](value)
    return Module("chain", builder.finish([Output("output", value)]))


def heavy(megabytes: float) -> Module:
    """Return constants of that size in all, with a scale for every 200 weights as in MobileNetV2."""
    builder, random = GraphBuilder(), np.random.default_rng(1)
    channels = WEIGHTS_OF_A_LAYER // 200
    value = builder.add_input("input", TensorType((1, 1), CODES))
    for _ in range(max(1, round(megabytes * 1e6 / WEIGHTS_OF_A_LAYER))):
        weights = random.integers(-127, 128, (channels, 200), np.int8)
        quantization = Quantization.per_axis(random.uniform(1e-4, 1e-1, channels).tolist(), [0] * channels, 0)
        value = builder.emit(Constant(Data(weights), Element(DType.I8, quantization)))
    return Module("heavy", builder.finish([Output("output", value)]))


def seconds(action: Callable[[], object]) -> float:
    start = time.process_time()
    action()
    return time.process_time() - start


def measure(module: Module) -> None:
    text = print_module(module)
    printing = min(seconds(lambda: print_module(module)) for _ in range(3))
    parsing = min(seconds(lambda: parse_module(text, OPS_BY_MNEMONIC)) for _ in range(3))
    assert parse_module(text, OPS_BY_MNEMONIC) == module
    print(
        f"{module.name}: {len(module.graph.statements)} statements, {len(text) / 1e6:.1f} MB of text, "
        f"printed in {printing:.3f} s, parsed in {parsing:.3f} s"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--statements", type=int, default=2000)
    parser.add_argument("--megabytes", type=float, default=3.5)
    options = parser.parse_args()
    smallest = print_module(chain(3))
    first = seconds(lambda: parse_module(smallest, OPS_BY_MNEMONIC))
    print(f"first parse of the process, with the parser built: {first:.3f} s")
    for module in (chain(options.statements), heavy(options.megabytes)):
        measure(module)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory {peak:.0f} MB")


if __name__ == "__main__":
    main()
