"""Convolutions and pools along one axis: the same over images of height 1."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping
from dataclasses import replace

from mrqc.frontends.constants import Constant
from mrqc.frontends.onnx.graph import AttributeContent
from mrqc.frontends.onnx.site import NodeRule, Site
from mrqc.frontends.onnx.tensors import NHWC_SEEN_AS_NCHW, Activation, Tensor

_NLC_SEEN_AS_NCL = (0, 2, 1)
_NEUTRAL: Mapping[str, int] = {
    "kernel_shape": 1,
    "strides": 1,
    "dilations": 1,
    "output_padding": 0,
    "output_shape": 1,
}
"""What each list of a window says about the new axis."""


def along_one_axis_too(rule: NodeRule, weight: int | None = None) -> NodeRule:
    """Return the rule of images for sequences ``[N, C, L]`` as well.

    Args:
        rule: For images.
        weight: Index of the input that holds the weights, if there are any.
    """

    def handler(site: Site) -> Tensor | tuple[Tensor, ...]:
        if len(site.operand(0).shape) != 3:
            return rule.handler(site)
        tensors = {site.node.inputs[0]: _as_image(site, site.operand(0))}
        if weight is not None and isinstance(constant := site.operand(weight), Constant) and constant.array.ndim == 3:
            outputs, inputs, length = constant.shape
            tensors[site.node.inputs[weight]] = constant.reshaped((outputs, inputs, 1, length))
        node = replace(site.node, attributes=_over_images(site.node.attributes))
        result = rule.handler(replace(site, node=node, tensors=ChainMap(tensors, dict(site.tensors))))
        return _as_sequence(site, result) if isinstance(result, Activation) else result

    handler.__doc__ = (rule.handler.__doc__ or "").replace("2-D", "1-D or 2-D")
    return replace(rule, handler=handler)


def _over_images(attributes: Mapping[str, AttributeContent]) -> Mapping[str, AttributeContent]:
    changed = dict(attributes)
    for name, neutral in _NEUTRAL.items():
        content = attributes.get(name)
        if isinstance(content, tuple) and len(content) == 1:
            changed[name] = (neutral, int(content[0]))
    pads = attributes.get("pads")
    if isinstance(pads, tuple) and len(pads) == 2:
        changed["pads"] = (0, int(pads[0]), 0, int(pads[1]))
    return changed


def _as_image(site: Site, tensor: Activation | Constant) -> Tensor:
    batch, channels, length = tensor.shape
    if isinstance(tensor, Activation) and tensor.permutation == _NLC_SEEN_AS_NCL:
        stored = Activation.plain(tensor.value)
        image = site.emitter.reshape(stored, (batch, 1, length, channels), site.location)
        return Activation(image, NHWC_SEEN_AS_NCHW)
    return site.reshape(tensor, (batch, channels, 1, length))


def _as_sequence(site: Site, image: Activation) -> Tensor:
    """Return a result without its height; the channels stay where they are stored."""
    batch, channels, _, length = image.shape
    if image.permutation != NHWC_SEEN_AS_NCHW:
        return site.reshape(image, (batch, channels, length))
    stored = Activation.plain(image.value)
    return Activation(site.emitter.reshape(stored, (batch, length, channels), site.location), _NLC_SEEN_AS_NCL)
