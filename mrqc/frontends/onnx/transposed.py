"""ConvTranspose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from mrqc.frontends.constants import Constant, UnsupportedError
from mrqc.frontends.onnx.site import NodeRule, Site
from mrqc.frontends.onnx.tensors import NHWC_SEEN_AS_NCHW, Activation, Tensor
from mrqc.frontends.onnx.windows import WINDOW_ATTRIBUTES
from mrqc.ops import nn


def import_conv_transpose(site: Site) -> Tensor:
    """2-D, with constant weights and bias, any groups, strides, dilations, padding and output shape."""
    image = site.image_operand(0)
    weight = site.constant(1, "weight")
    if len(weight.shape) != 4:
        raise UnsupportedError(f"only 2-D convolutions are supported, the weight has shape {list(weight.shape)}")
    kernel = (weight.shape[2], weight.shape[3])
    if site.pair("kernel_shape", kernel) != kernel:
        raise UnsupportedError(f"kernel_shape does not agree with the weight's shape {list(weight.shape)}")
    groups = site.integer("group", 1)
    strides, dilations = site.pair("strides", (1, 1)), site.pair("dilations", (1, 1))
    op = nn.TransposeConv2D(
        site.nhwc(image),
        site.as_activation(_outputs_first(weight, groups)).value,
        site.as_activation(site.constant(2, "bias")).value if site.has_operand(2) else None,
        strides,
        _padding(site, image, kernel, strides, dilations),
        dilations,
        groups,
    )
    return Activation(site.emit(op), NHWC_SEEN_AS_NCHW)


def _outputs_first(weight: Constant, groups: int) -> Constant:
    """Return weights ``[C, O / groups, KH, KW]`` as ``[O, KH, KW, C / groups]``."""
    if groups == 1:
        return weight.transposed((1, 2, 3, 0))
    channels, outputs, height, width = weight.shape
    quantization = weight.element.quantization if weight.element is not None else None
    if groups < 1 or channels % groups:
        raise UnsupportedError(f"{groups} groups do not divide {channels} channels")
    if quantization is not None and not quantization.is_per_tensor:
        raise UnsupportedError("weights in groups need one scale for all of them")
    array = weight.array.reshape(groups, channels // groups, outputs, height, width).transpose(0, 2, 3, 4, 1)
    return replace(weight, array=array.reshape(groups * outputs, height, width, channels // groups))


def _padding(
    site: Site, image: Activation, kernel: tuple[int, int], strides: tuple[int, int], dilations: tuple[int, int]
) -> tuple[int, int, int, int]:
    """Return what is cut off the whole result, less than nothing where the file adds to its end."""
    auto_pad = site.text("auto_pad", "NOTSET")
    more = site.pair("output_padding", (0, 0))
    wanted = site.integer_list("output_shape")
    if wanted is None and auto_pad in ("NOTSET", "VALID"):
        pads = site.integer_list("pads") if auto_pad == "NOTSET" else None
        top, left, bottom, right = pads if pads and len(pads) == 4 else (0, 0, 0, 0)
        return (top, left, bottom - more[0], right - more[1])
    before: list[int] = []
    after: list[int] = []
    for axis, extent in enumerate(image.shape[2:]):
        size = wanted[axis - 2] if wanted else extent * strides[axis]
        total = strides[axis] * (extent - 1) + more[axis] + (kernel[axis] - 1) * dilations[axis] + 1 - size
        # What the file adds to the end may be more than all that is cut off.
        half = max(total, 0) // 2
        begin = half if auto_pad == "SAME_UPPER" else max(total, 0) - half
        before.append(begin)
        after.append(total - begin - more[axis])
    return (before[0], before[1], after[0], after[1])


TRANSPOSED_RULES: Mapping[str, NodeRule] = {
    "ConvTranspose": NodeRule(
        import_conv_transpose, 3, (*WINDOW_ATTRIBUTES, "group", "output_padding", "output_shape")
    ),
}
"""Nodes that spread each element over a window."""
