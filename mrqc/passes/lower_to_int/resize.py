"""Changes of the size of an image."""

from __future__ import annotations

from mrqc.errors import RefusalError
from mrqc.ir.op import Op, Value
from mrqc.ops import int as int_ops
from mrqc.ops import nn
from mrqc.passes.lower_to_int.rules import LOWERINGS, Site


@LOWERINGS.register(nn.ResizeBilinear)
def lower_resize_bilinear(op: Op, site: Site) -> Value:
    """Refuse: there is no hardware for it among the targets."""
    del op
    raise RefusalError(f"target {site.target.name} has no bilinear interpolation", "resize to the nearest pixel")


@LOWERINGS.register(nn.ResizeNearest)
def lower_resize_nearest(op: Op, site: Site) -> Value:
    """The same codes, some of them repeated or left out."""
    assert isinstance(op, nn.ResizeNearest)
    return taken(op, op.indices(0), op.indices(1), site)


def taken(op: nn.ResizeNearest, rows: tuple[int, ...], columns: tuple[int, ...], site: Site) -> Value:
    """Return the rows and columns of an image at those indices.

    Raises:
        RefusalError: The result has another scale.
    """
    if op.element != op.input.type.element:
        raise RefusalError("a change of size cannot change the scale", "run the pass 'requantize' first")
    value = op.input
    for axis, indices in ((1, rows), (2, columns)):
        if indices != tuple(range(value.type.shape[axis])):
            value = site.emit(int_ops.Take(value, axis, indices))
    return value
