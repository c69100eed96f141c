"""Limits that hardware sets to the windows of convolutions and pools."""

from __future__ import annotations

from collections.abc import Iterator

from mrqc.ir.op import Op
from mrqc.ops.int import Conv2D
from mrqc.ops.window import Window
from mrqc.targets import OpSupport


def window_problems(op: Op, support: OpSupport) -> Iterator[str]:
    """Yield a sentence for each limit of ``support`` that a windowed op exceeds; other ops have none."""
    window = getattr(op, "window", None)
    if not isinstance(window, Window):
        return
    key = f"ops.{op.mnemonic}"
    for name, found, limit in (
        ("kernel", window.kernel, support.max_kernel),
        ("stride", window.strides, support.max_stride),
        ("dilation", window.dilations, support.max_dilation),
    ):
        if limit is not None and max(found) > limit:
            yield f"{name} {found[0]}x{found[1]} exceeds the target's {limit} ({key}.max_{name})"
    if isinstance(op, Conv2D) and op.groups > 1:
        if support.groups == "none":
            yield f"{op.groups} groups, the target has none ({key}.groups)"
        elif support.groups == "depthwise" and not op.is_depthwise:
            yield f"{op.groups} groups of several channels, the target has depthwise only ({key}.groups)"
