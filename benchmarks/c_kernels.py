"""How fast the emitted C runs the layers of MobileNetV2 1.0, and the whole network, with random weights.

    python benchmarks/c_kernels.py [--compiler gcc] [--multiplier-bits 0|31] [--flags "-O3"] [--layers-only]

Prints milliseconds and 10^9 multiplications a second (GMAC/s) of single layers and of the network, beside a naive
kernel that is compiled in the same run with the same flags: one loop each for output channel, tap and input
channel around a checked access, and always a shift at the end. In a single layer the compiler knows its shape, in
the network it does not. The outputs of the emitted kernel are compared with the simulator's.
"""

import argparse
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from simulate import CODES, RandomNetwork, mobilenet_v2

from mrqc.backends.c import CompiledKernel, memory_report
from mrqc.backends.simulator import Program
from mrqc.ir import Module, Output, TensorType
from mrqc.ops.int import Constant, Conv2D, FullyConnected

# Height, input channels, output channels, kernel, stride, depthwise: what MobileNetV2 consists of.
LAYERS = {
    "stem 3x3": (224, 3, 32, 3, 2, False),
    "depthwise 112x112x32": (112, 32, 32, 3, 1, True),
    "depthwise 56x56x144": (56, 144, 144, 3, 1, True),
    "depthwise 14x14x576": (14, 576, 576, 3, 1, True),
    "pointwise 112x112 16-96": (112, 16, 96, 1, 1, False),
    "pointwise 28x28 144-32": (28, 144, 32, 1, 1, False),
    "pointwise 14x14 96-576": (14, 96, 576, 1, 1, False),
    "pointwise 7x7 960-320": (7, 960, 320, 1, 1, False),
    "convolution 14x14 64-64": (14, 64, 64, 3, 1, False),
}

NAIVE = """\
#include <stdint.h>
#include <stdio.h>
#include <time.h>

typedef struct { int height, channels, outputs, kernel, stride, groups, before, rows; } layer;

static int8_t input[224 * 224 * 32], weights[2000000], output[1300000];
static int32_t bias[2000];

void naive_conv2d(const int8_t *x, const int8_t *w, const int32_t *b, int8_t *y, const layer *l, int shift);
void naive_conv2d(const int8_t *x, const int8_t *w, const int32_t *b, int8_t *y, const layer *l, int shift)
{
    const int depth = l->channels / l->groups;
    for (int row = 0; row < l->rows; row++)
        for (int column = 0; column < l->rows; column++)
            for (int o = 0; o < l->outputs; o++) {
                const int first = o / (l->outputs / l->groups) * depth;
                int32_t sum = b[o];
                for (int ky = 0; ky < l->kernel; ky++)
                    for (int kx = 0; kx < l->kernel; kx++)
                        for (int c = 0; c < depth; c++) {
                            const int iy = row * l->stride - l->before + ky, ix = column * l->stride - l->before + kx;
                            if (iy >= 0 && iy < l->height && ix >= 0 && ix < l->height)
                                sum += x[(iy * l->height + ix) * l->channels + first + c] *
                                       w[((o * l->kernel + ky) * l->kernel + kx) * depth + c];
                        }
                sum = (sum + ((1 << shift) >> 1)) >> shift;
                y[(row * l->rows + column) * l->outputs + o] = (int8_t)(sum < 0 ? 0 : sum > 127 ? 127 : sum);
            }
}

int main(void)
{
    static const layer layers[] = {
%s
    };
    long used = 0;
    for (unsigned i = 0; i < sizeof input; i++) input[i] = (int8_t)(i * 7 %% 255);
    for (unsigned i = 0; i < sizeof weights; i++) weights[i] = (int8_t)(i * 11 %% 255);
    for (unsigned i = 0; i < sizeof layers / sizeof *layers; i++) {
        double best = 1e9;
        for (int repeat = 0; repeat < 3; repeat++) {
            const clock_t start = clock();
            naive_conv2d(input, weights, bias, output, &layers[i], 9);
            const double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
            best = seconds < best ? seconds : best;
        }
        /* A result that nothing reads would not be computed. */
        for (unsigned k = 0; k < sizeof output; k++) used += output[k];
        printf("%%.9f\\n", best);
    }
    return used == 0;
}
"""


def single_layer(row: tuple[int, int, int, int, int, bool], bits: int) -> Module:
    height, channels, outputs, kernel, stride, depthwise = row
    network = RandomNetwork(bits)
    image = network.builder.add_input("image", TensorType((1, height, height, channels), CODES))
    result = network.conv(image, outputs, kernel, stride, channels if depthwise else 1)
    return Module("layer", network.builder.finish([Output("y", result)]))


def contractions(module: Module) -> list[Conv2D | FullyConnected]:
    return [s.op for s in module.graph.statements if isinstance(s.op, Conv2D | FullyConnected)]


def multiplications(op: Conv2D | FullyConnected) -> int:
    """Return the products of a layer, those with padding included."""
    return int(np.prod(op.output_shape)) * int(np.prod(op.weight.type.shape[1:]))


def naive_row(op: Conv2D | FullyConnected) -> str:
    if isinstance(op, FullyConnected):
        return f"        {{1, {op.weight.type.shape[1]}, {op.weight.type.shape[0]}, 1, 1, 1, 0, 1}},"
    _, height, _, channels = op.input.type.shape
    numbers = (height, channels, op.weight.type.shape[0], op.window.kernel[0], op.strides[0], op.groups)
    return f"        {{{', '.join(map(str, (*numbers, op.padding[0], op.output_shape[1])))}}},"


def naive_seconds(ops: list[Conv2D | FullyConnected], compiler: str, flags: list[str]) -> list[float]:
    """Return the shortest of three times of the naive kernel on each layer."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "naive.c").write_text(NAIVE % "\n".join(map(naive_row, ops)))
        subprocess.run([compiler, "-std=c99", *flags, "naive.c", "-o", "naive"], cwd=folder, check=True)
        printed = subprocess.run(["./naive"], cwd=folder, check=True, capture_output=True, text=True).stdout
    return [float(line) for line in printed.split()]


def kernel_seconds(module: Module, compiler: str, flags: list[str]) -> tuple[float, int]:
    """Return the shortest of several times of the emitted kernel, and how many codes differ from the simulator's."""
    (value,) = module.graph.inputs
    images = np.random.default_rng(3).integers(-128, 128, value.type.shape).astype(np.int8)
    with CompiledKernel(module, compiler=compiler, optimization=flags[0], extra_flags=flags[1:]) as kernel:
        found, expected = kernel.run(images), Program(module).run(images)
        differing = sum(int(np.count_nonzero(found[name] != expected[name])) for name in found)
        return kernel.seconds_per_sample(images, 15), differing


def row(name: str, macs: int, seconds: float, naive: float, differing: int) -> str:
    rates = f"{seconds * 1e3:9.3f} ms {macs / seconds / 1e9:6.2f} GMAC/s"
    baseline = f"naive {naive * 1e3:9.3f} ms {macs / naive / 1e9:6.2f} GMAC/s"
    return f"{name:26} {rates}   {baseline}   {naive / seconds:5.1f} x   {differing} codes differ"


def constant_megabytes(module: Module) -> float:
    return sum(s.result.type.bytes for s in module.graph.statements if isinstance(s.op, Constant)) / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--compiler", default="gcc")
    parser.add_argument("--multiplier-bits", type=int, default=0, help="0 for shifts alone")
    parser.add_argument("--flags", action="append", help='such as "-O3 -march=native"; may be repeated')
    parser.add_argument("--layers-only", action="store_true", help="leave out the network, which takes long to compile")
    options = parser.parse_args()
    for text in options.flags or ["-O2", "-O3", "-O3 -march=native"]:
        flags = text.split()
        print(f"{options.compiler} {text}")
        modules = {name: single_layer(case, options.multiplier_bits) for name, case in LAYERS.items()}
        if not options.layers_only:
            modules["MobileNetV2 1.0 224"] = network = mobilenet_v2(options.multiplier_bits)
        for name, module in modules.items():
            ops = contractions(module)
            seconds, differing = kernel_seconds(module, options.compiler, flags)
            naive = sum(naive_seconds(ops, options.compiler, flags))
            print("  " + row(name, sum(map(multiplications, ops)), seconds, naive, differing), flush=True)
    if not options.layers_only:
        report = memory_report(network)
        print(
            f"the network takes {report.arena_bytes} bytes of arena, {report.stack_bytes} of stack, "
            f"{report.constant_bytes} of flash for {constant_megabytes(network):.2f} MB of constants"
        )


if __name__ == "__main__":
    main()
