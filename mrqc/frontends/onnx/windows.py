"""Windows of convolutions and pools: strides, dilations, and the ways to say padding."""

from __future__ import annotations

from dataclasses import replace

from mrqc.frontends.constants import UnsupportedError
from mrqc.frontends.onnx.site import Site
from mrqc.ops.window import Window

WINDOW_ATTRIBUTES = ("auto_pad", "dilations", "kernel_shape", "pads", "strides")


def read_window(site: Site, kernel: tuple[int, int], height: int, width: int) -> Window:
    """Return the window of a node over an image of that size, its padding worked out.

    Raises:
        UnsupportedError: It is no 2-D window, does not fit the image, or its result is larger than
            rounding down makes it.
    """
    strides = site.pair("strides", (1, 1))
    dilations = site.pair("dilations", (1, 1))
    unpadded = Window(kernel, strides, dilations=dilations)
    if min(*kernel, *strides, *dilations) < 1:
        raise UnsupportedError(next(unpadded.problems(height, width)))
    window = Window(kernel, strides, _padding(site, unpadded, (height, width)), dilations)
    problems = list(window.problems(height, width))
    if problems:
        raise UnsupportedError("; ".join(problems))
    wanted = _size_rounded_up(window, height, width) if site.integer("ceil_mode", 0) else None
    if wanted is not None and window.output_size(height, width) != wanted:
        if site.node.op_type == "MaxPool":
            # What a greatest element is sought in grows by padding that has none.
            return replace(window, padding=_padding_for(wanted, window, height, width))
        raise UnsupportedError(
            "ceil_mode adds windows that reach beyond the padded image",
            "pad explicitly, or choose a size that the strides divide",
        )
    return window


def _padding_for(wanted: tuple[int, int], window: Window, height: int, width: int) -> tuple[int, int, int, int]:
    """Return the padding with as much at the end as the last window reaches."""
    top, left, bottom, right = window.padding
    more = [
        (count - 1) * step + cover - extent - begin
        for count, step, cover, extent, begin in zip(
            wanted, window.strides, window.extent, (height, width), (top, left), strict=True
        )
    ]
    return (top, left, max(bottom, more[0]), max(right, more[1]))


def _padding(site: Site, window: Window, size: tuple[int, int]) -> tuple[int, int, int, int]:
    auto_pad = site.text("auto_pad", "NOTSET")
    if auto_pad == "NOTSET":
        pads = site.integer_list("pads") or (0, 0, 0, 0)
        if len(pads) != 4:
            raise UnsupportedError(f"only 2-D windows are supported, pads = {list(pads)}")
        return (pads[0], pads[1], pads[2], pads[3])
    if auto_pad == "VALID":
        return (0, 0, 0, 0)
    if auto_pad not in ("SAME_UPPER", "SAME_LOWER"):
        raise UnsupportedError(f"auto_pad {auto_pad!r} is unknown")
    before: list[int] = []
    after: list[int] = []
    for extent, step, cover in zip(size, window.strides, window.extent, strict=True):
        total = max((-(-extent // step) - 1) * step + cover - extent, 0)
        small, large = total // 2, total - total // 2
        before.append(small if auto_pad == "SAME_UPPER" else large)
        after.append(large if auto_pad == "SAME_UPPER" else small)
    return (before[0], before[1], after[0], after[1])


def _size_rounded_up(window: Window, height: int, width: int) -> tuple[int, int]:
    """Return the result's size under ceil_mode; the last window must still begin before the end padding."""
    top, left, bottom, right = window.padding
    sizes: list[int] = []
    for extent, begin, end, step, cover in zip(
        (height, width), (top, left), (bottom, right), window.strides, window.extent, strict=True
    ):
        count = -(-(extent + begin + end - cover) // step) + 1
        sizes.append(count - 1 if (count - 1) * step >= extent + begin else count)
    return (sizes[0], sizes[1])
