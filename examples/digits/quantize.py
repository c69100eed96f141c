"""Post-training quantization to unsigned 8 bits with zero points.

    real value = scale * (code - zero_point)

Activations take their range from calibration images, weights from themselves, one range per tensor; a bias is
an int32 at the scale of its accumulator, input scale times weight scale, with no zero point.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from network import Activations, FloatArray, Parameters

LARGEST_CODE = 255
LARGEST_PIXEL = 16.0

LAYER_INPUTS = {
    "stem": "image",
    "depthwise": "stem",
    "pointwise": "depthwise",
    "downsample": "residual",
    "classifier": "pool",
}


@dataclass(frozen=True)
class Encoding:
    """The scale, exactly representable in float32, and the zero point of one tensor."""

    scale: float
    zero_point: int


@dataclass(frozen=True)
class QuantizedLayer:
    """Codes of a layer's weight and bias, and what the codes mean."""

    weight: npt.NDArray[np.uint8]
    weight_encoding: Encoding
    bias: npt.NDArray[np.int32]
    bias_scale: float


@dataclass(frozen=True)
class QuantizedNetwork:
    """All that the exporter needs to know: encodings by activation, quantized layers by name."""

    activations: dict[str, Encoding]
    layers: dict[str, QuantizedLayer]


def encoding_of_range(low: float, high: float) -> Encoding:
    """The encoding that covers [low, high] and represents zero exactly, as padding requires."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = float(np.float32((high - low) / LARGEST_CODE))
    return Encoding(scale, round(-low / scale))


def quantize_weight(weight: FloatArray) -> tuple[npt.NDArray[np.uint8], Encoding]:
    """Codes of the nearest representable weights, ties to even."""
    encoding = encoding_of_range(float(weight.min()), float(weight.max()))
    codes = np.rint(weight.astype(np.float64) / encoding.scale) + encoding.zero_point
    return np.clip(codes, 0, LARGEST_CODE).astype(np.uint8), encoding


def quantize_layer(weight: FloatArray, bias: FloatArray, input_encoding: Encoding) -> QuantizedLayer:
    """Quantize one layer whose input has `input_encoding`."""
    weight_codes, weight_encoding = quantize_weight(weight)
    bias_scale = float(np.float32(input_encoding.scale * weight_encoding.scale))
    bias_codes = np.rint(bias.astype(np.float64) / bias_scale).astype(np.int32)
    return QuantizedLayer(weight_codes, weight_encoding, bias_codes, bias_scale)


def quantize(parameters: Parameters, calibration: Activations) -> QuantizedNetwork:
    """Quantize the network after the activations that calibration images gave rise to."""
    encodings = {name: encoding_of_range(float(value.min()), float(value.max())) for name, value in calibration.items()}
    # The pixels' range is part of the data format; calibration images need not show all of it.
    encodings["image"] = encoding_of_range(0.0, LARGEST_PIXEL)
    layers = {
        layer: quantize_layer(parameters[f"{layer}/weight"], parameters[f"{layer}/bias"], encodings[source])
        for layer, source in LAYER_INPUTS.items()
    }
    return QuantizedNetwork(encodings, layers)
