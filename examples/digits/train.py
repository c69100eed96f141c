"""Train the digits network, quantize it, and write digits.onnx, calib.npz and test.npz next to this file.

Everything is seeded: on the same machine, a second run writes the same bytes.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
from sklearn.datasets import load_digits
from threadpoolctl import threadpool_limits

from export import to_onnx
from network import FloatArray, Parameters, forward
from optimize import IntArray, accuracy, train
from quantize import LARGEST_PIXEL, quantize

FOLDER = Path(__file__).resolve().parent
SEED = 0
TEST_FRACTION = 0.3
CALIBRATION_IMAGES = 256


@dataclass(frozen=True)
class Split:
    """Images, N x 1 x 8 x 8 with pixel values 0..16, and their labels."""

    images: FloatArray
    labels: IntArray


def load_splits() -> tuple[Split, Split]:
    """scikit-learn's 1797 handwritten digits, shuffled, as training and test split."""
    pixels, labels = load_digits(return_X_y=True)
    images = np.asarray(pixels, np.float32).reshape(-1, 1, 8, 8)
    labels = np.asarray(labels, np.int64)
    order = np.random.default_rng(SEED).permutation(len(images))
    test_count = round(TEST_FRACTION * len(images))
    test, training = order[:test_count], order[test_count:]
    return Split(images[training], labels[training]), Split(images[test], labels[test])


def train_on_pixels(training: Split) -> Parameters:
    """Train on pixels scaled to 0..1, as He's initialization expects, and fold the factor into the stem."""
    parameters = train(training.images / np.float32(LARGEST_PIXEL), training.labels, SEED, print)
    parameters["stem/weight"] /= np.float32(LARGEST_PIXEL)
    return parameters


def quantized_logits(model: bytes, images: FloatArray) -> FloatArray:
    """What ONNX Runtime makes of each image, N x 10."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    rows = [np.asarray(session.run(["logits"], {"image": image[None]})[0]) for image in images]
    return np.concatenate(rows)


def main() -> None:
    """Train, quantize, save, and print what quantization cost."""
    training, test = load_splits()
    calibration = training.images[:CALIBRATION_IMAGES]
    # One thread: the order of a sum, and with it the last bit, must not depend on the number of cores.
    with threadpool_limits(limits=1):
        parameters = train_on_pixels(training)
        network = quantize(parameters, forward(parameters, calibration))
        float_logits = forward(parameters, test.images)["logits"]
    model = to_onnx(network).SerializeToString(deterministic=True)

    (FOLDER / "digits.onnx").write_bytes(model)
    np.savez_compressed(FOLDER / "calib.npz", x=calibration)
    np.savez_compressed(FOLDER / "test.npz", x=test.images, y=test.labels)

    after = quantized_logits(model, test.images)
    agreement = accuracy(after, float_logits.argmax(axis=1))
    print(f"test images              {len(test.labels)}")
    print(f"float32 accuracy         {accuracy(float_logits, test.labels):.2%}")
    print(f"quantized accuracy       {accuracy(after, test.labels):.2%}  (ONNX Runtime)")
    print(f"same answer              {agreement:.2%}")
    print(f"model size               {len(model)} bytes")


if __name__ == "__main__":
    main()
