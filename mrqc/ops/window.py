"""Geometry of sliding windows: what convolutions and pools of both dialects share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mrqc.ir.op import Value


@dataclass(frozen=True, slots=True)
class Window:
    """A sliding window over the two middle axes of an NHWC tensor.

    Attributes:
        kernel: Height and width.
        strides: Steps down and across.
        padding: Rows and columns added at the top, left, bottom and right.
        dilations: Distance between the taps of the kernel.
    """

    kernel: tuple[int, int]
    strides: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilations: tuple[int, int] = (1, 1)

    @property
    def extent(self) -> tuple[int, int]:
        """Height and width that the dilated kernel covers."""
        (height, width), (down, across) = self.kernel, self.dilations
        return ((height - 1) * down + 1, (width - 1) * across + 1)

    @property
    def is_padded(self) -> bool:
        """Whether any border is added."""
        return any(self.padding)

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        """Return how many windows fit, downwards and across."""
        top, left, bottom, right = self.padding
        rows = (height + top + bottom - self.extent[0]) // self.strides[0] + 1
        columns = (width + left + right - self.extent[1]) // self.strides[1] + 1
        return rows, columns

    def needed_strides(self, height: int, width: int) -> tuple[int, int]:
        """Return the strides, 1 along an axis that one window fills, where no step is possible."""
        top, left, bottom, right = self.padding
        fills = (height + top + bottom == self.extent[0], width + left + right == self.extent[1])
        return (1 if fills[0] else self.strides[0], 1 if fills[1] else self.strides[1])

    def problems(self, height: int, width: int) -> Iterator[str]:
        """Yield a sentence for each way in which the window does not fit an image of this size."""
        if min(self.kernel) < 1 or min(self.strides) < 1 or min(self.dilations) < 1:
            yield (
                "kernel, strides and dilations must be at least 1, found "
                f"{list(self.kernel)}, {list(self.strides)}, {list(self.dilations)}"
            )
            return
        if min(self.padding) < 0:
            yield f"padding must not be negative, found {list(self.padding)}"
        top, left, bottom, right = self.padding
        if top + bottom + height < self.extent[0] or left + right + width < self.extent[1]:
            yield (
                f"a window of {self.extent[0]}x{self.extent[1]} does not fit an input of {height}x{width} "
                f"with padding {list(self.padding)}"
            )


def pool_problems(input_: Value, window: Window) -> Iterator[str]:
    """Yield the rules of a pool that are broken: a rank-4 input and windows that each hold an element."""
    if input_.type.rank != 4:
        yield f"the input must be NHWC, found rank {input_.type.rank}"
        return
    _, height, width, _ = input_.type.shape
    yield from window.problems(height, width)
    top, left, bottom, right = window.padding
    if max(top, bottom) >= window.extent[0] or max(left, right) >= window.extent[1]:
        yield f"padding {list(window.padding)} leaves windows of {list(window.kernel)} without a single element"


def pool_shape(input_: Value, window: Window) -> tuple[int, int, int, int]:
    """Return the NHWC shape of a pool's result."""
    batch, height, width, channels = input_.type.shape
    rows, columns = window.output_size(height, width)
    return (batch, rows, columns, channels)
