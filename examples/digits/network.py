"""The digits network: a small residual CNN whose gradient is written out by hand.

    image 1x8x8
      stem        3x3 convolution, 1 -> 16, ReLU ------------.
      depthwise   3x3 depthwise convolution, ReLU            |
      pointwise   1x1 convolution, 16 -> 16                  |
      residual    add, ReLU <--------------------------------'
      downsample  3x3 convolution, stride 2, 16 -> 32, ReLU6
      pool        mean over 4x4
      classifier  fully connected, 32 -> 10 logits

Arrays are NCHW and float32. A convolution is written as a sum over the taps of its kernel: each tap is one
matrix product with a shifted view of the padded input, which keeps the forward and the backward code alike.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
Parameters = dict[str, FloatArray]
Activations = dict[str, FloatArray]

CHANNELS = 16
WIDE_CHANNELS = 32
CLASSES = 10
RELU6_LIMIT = 6.0
WEIGHT_SHAPES: dict[str, tuple[int, ...]] = {
    "stem": (CHANNELS, 1, 3, 3),
    "depthwise": (CHANNELS, 1, 3, 3),
    "pointwise": (CHANNELS, CHANNELS, 1, 1),
    "downsample": (WIDE_CHANNELS, CHANNELS, 3, 3),
    "classifier": (CLASSES, WIDE_CHANNELS),
}


def initial_parameters(rng: np.random.Generator) -> Parameters:
    """Weights after He et al. (2015): normal with variance 2 / fan-in; biases zero."""
    parameters: Parameters = {}
    for layer, shape in WEIGHT_SHAPES.items():
        fan_in = int(np.prod(shape[1:]))
        spread = np.sqrt(2.0 / fan_in)
        parameters[f"{layer}/weight"] = rng.normal(0.0, spread, shape).astype(np.float32)
        parameters[f"{layer}/bias"] = np.zeros(shape[0], np.float32)
    return parameters


def padded(x: FloatArray, kernel_size: int) -> FloatArray:
    """Zeros around each image so that an odd kernel keeps its size at stride 1."""
    border = kernel_size // 2
    return np.pad(x, ((0, 0), (0, 0), (border, border), (border, border)))


def taps(x: FloatArray, kernel_size: int, stride: int) -> Iterator[tuple[int, int, FloatArray]]:
    """Each kernel position and the view of the padded input `x` that it multiplies."""
    height = (x.shape[2] - kernel_size) // stride + 1
    width = (x.shape[3] - kernel_size) // stride + 1
    for row in range(kernel_size):
        for column in range(kernel_size):
            rows = slice(row, row + stride * height, stride)
            columns = slice(column, column + stride * width, stride)
            yield row, column, x[:, :, rows, columns]


def mix_channels(weight: FloatArray, x: FloatArray) -> FloatArray:
    """Multiply the channels at every pixel of `x` by the matrix `weight`."""
    batch, _, height, width = x.shape
    product = weight @ x.reshape(batch, weight.shape[1], height * width)
    return product.reshape(batch, weight.shape[0], height, width)


def scale_channels(factors: FloatArray, x: FloatArray) -> FloatArray:
    """Multiply each channel of `x` by its own factor."""
    return factors[:, None, None] * x


def convolution(x: FloatArray, weight: FloatArray, bias: FloatArray, stride: int = 1) -> FloatArray:
    """Convolution without groups, "same" padding."""
    size = weight.shape[2]
    total = bias[None, :, None, None]
    for row, column, view in taps(padded(x, size), size, stride):
        total = total + mix_channels(weight[:, :, row, column], view)
    return total


def convolution_gradient(
    x: FloatArray, weight: FloatArray, d_y: FloatArray, stride: int = 1
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Gradients of the loss in input, weight and bias, from the gradient in the output."""
    size = weight.shape[2]
    x_padded = padded(x, size)
    d_x_padded = np.zeros_like(x_padded)
    d_weight = np.zeros_like(weight)
    d_views = taps(d_x_padded, size, stride)
    for (row, column, view), (_, _, d_view) in zip(taps(x_padded, size, stride), d_views, strict=True):
        d_view += mix_channels(weight[:, :, row, column].T, d_y)
        d_weight[:, :, row, column] = np.tensordot(d_y, view, axes=([0, 2, 3], [0, 2, 3]))
    return inner(d_x_padded, size), d_weight, d_y.sum(axis=(0, 2, 3))


def depthwise_convolution(x: FloatArray, weight: FloatArray, bias: FloatArray) -> FloatArray:
    """Each channel convolved with a kernel of its own, stride 1, "same" padding."""
    size = weight.shape[2]
    total = bias[None, :, None, None]
    for row, column, view in taps(padded(x, size), size, stride=1):
        total = total + scale_channels(weight[:, 0, row, column], view)
    return total


def depthwise_convolution_gradient(
    x: FloatArray, weight: FloatArray, d_y: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Gradients of the loss in input, weight and bias, from the gradient in the output."""
    size = weight.shape[2]
    x_padded = padded(x, size)
    d_x_padded = np.zeros_like(x_padded)
    d_weight = np.zeros_like(weight)
    d_views = taps(d_x_padded, size, stride=1)
    for (row, column, view), (_, _, d_view) in zip(taps(x_padded, size, stride=1), d_views, strict=True):
        d_view += scale_channels(weight[:, 0, row, column], d_y)
        d_weight[:, 0, row, column] = (d_y * view).sum(axis=(0, 2, 3))
    return inner(d_x_padded, size), d_weight, d_y.sum(axis=(0, 2, 3))


def inner(x: FloatArray, kernel_size: int) -> FloatArray:
    """What `padded` added, taken away again."""
    border = kernel_size // 2
    return x[:, :, border : x.shape[2] - border, border : x.shape[3] - border]


def relu(x: FloatArray) -> FloatArray:
    return np.maximum(x, 0.0)


def relu6(x: FloatArray) -> FloatArray:
    return np.clip(x, 0.0, RELU6_LIMIT)


def forward(parameters: Parameters, image: FloatArray) -> Activations:
    """Every activation of the network by name: the gradient and calibration need them all."""
    weight = {layer: parameters[f"{layer}/weight"] for layer in WEIGHT_SHAPES}
    bias = {layer: parameters[f"{layer}/bias"] for layer in WEIGHT_SHAPES}
    stem = relu(convolution(image, weight["stem"], bias["stem"]))
    depthwise = relu(depthwise_convolution(stem, weight["depthwise"], bias["depthwise"]))
    pointwise = convolution(depthwise, weight["pointwise"], bias["pointwise"])
    residual = relu(stem + pointwise)
    downsample = relu6(convolution(residual, weight["downsample"], bias["downsample"], stride=2))
    pool = downsample.mean(axis=(2, 3), keepdims=True)
    logits = pool[:, :, 0, 0] @ weight["classifier"].T + bias["classifier"]
    return {
        "image": image,
        "stem": stem,
        "depthwise": depthwise,
        "pointwise": pointwise,
        "residual": residual,
        "downsample": downsample,
        "pool": pool,
        "logits": logits,
    }


def backward(parameters: Parameters, activations: Activations, d_logits: FloatArray) -> Parameters:
    """The gradient of the loss in every parameter, from its gradient in the logits."""
    weight = {layer: parameters[f"{layer}/weight"] for layer in WEIGHT_SHAPES}
    gradient: Parameters = {
        "classifier/weight": d_logits.T @ activations["pool"][:, :, 0, 0],
        "classifier/bias": d_logits.sum(axis=0),
    }

    downsample = activations["downsample"]
    pixels = downsample.shape[2] * downsample.shape[3]
    d_pool = (d_logits @ weight["classifier"])[:, :, None, None] / np.float32(pixels)
    d_downsample = d_pool * ((downsample > 0.0) & (downsample < RELU6_LIMIT))

    residual = activations["residual"]
    d_residual, gradient["downsample/weight"], gradient["downsample/bias"] = convolution_gradient(
        residual, weight["downsample"], d_downsample, stride=2
    )
    d_sum = d_residual * (residual > 0.0)

    depthwise = activations["depthwise"]
    d_depthwise, gradient["pointwise/weight"], gradient["pointwise/bias"] = convolution_gradient(
        depthwise, weight["pointwise"], d_sum
    )
    stem = activations["stem"]
    d_branch, gradient["depthwise/weight"], gradient["depthwise/bias"] = depthwise_convolution_gradient(
        stem, weight["depthwise"], d_depthwise * (depthwise > 0.0)
    )
    # The stem feeds the branch and the shortcut, so its gradient is the sum of both.
    d_stem = (d_branch + d_sum) * (stem > 0.0)
    _, gradient["stem/weight"], gradient["stem/bias"] = convolution_gradient(
        activations["image"], weight["stem"], d_stem
    )
    return gradient
