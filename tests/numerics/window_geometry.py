"""Random sliding windows for tests."""

from dataclasses import dataclass

from hypothesis import strategies as st


@dataclass(frozen=True)
class Geometry:
    kernel: tuple[int, int]
    strides: tuple[int, int]
    padding: tuple[int, int, int, int]
    dilations: tuple[int, int]


@st.composite
def geometries(draw: st.DrawFn, *, every_window_holds_an_element: bool = False) -> tuple[Geometry, int, int]:
    """A window with the height and width of an image that it fits."""
    kernel = draw(st.tuples(st.integers(1, 3), st.integers(1, 4)))
    strides = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    dilations = (1, 1)
    if not every_window_holds_an_element:
        dilations = draw(st.tuples(st.integers(1, 2), st.integers(1, 3)))
    extent = [(taps - 1) * dilation + 1 for taps, dilation in zip(kernel, dilations, strict=True)]
    most = [size - 1 if every_window_holds_an_element else 4 for size in extent]
    padding = draw(st.tuples(*(st.integers(0, most[axis % 2]) for axis in range(4))))
    least = [max(1, size - padding[axis] - padding[axis + 2]) for axis, size in enumerate(extent)]
    height, width = (draw(st.integers(smallest, smallest + 5)) for smallest in least)
    return Geometry(kernel, strides, padding, dilations), height, width


def elements_of_windows(geometry: Geometry, height: int, width: int) -> list[list[list[tuple[int, int] | None]]]:
    """For each window, row by row, the pixels that its taps meet; None for padding."""
    top, left, bottom, right = geometry.padding
    extent = [(taps - 1) * dilation + 1 for taps, dilation in zip(geometry.kernel, geometry.dilations, strict=True)]
    windows = []
    for first_row in range(-top, height + bottom - extent[0] + 1, geometry.strides[0]):
        line = []
        for first_column in range(-left, width + right - extent[1] + 1, geometry.strides[1]):
            taps = [
                (first_row + row * geometry.dilations[0], first_column + column * geometry.dilations[1])
                for row in range(geometry.kernel[0])
                for column in range(geometry.kernel[1])
            ]
            line.append([tap if 0 <= tap[0] < height and 0 <= tap[1] < width else None for tap in taps])
        windows.append(line)
    return windows
