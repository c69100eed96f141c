"""Which tensors can be read at another scale without a change of codes.

A layer, an addition, a maximum, a move of codes gives c times its result for c times its operands, so the scale that
its codes are said to have is a label: the weights take up what is between two labels. A function such as a sigmoid, or
a product of two tensors, does not.
"""

from __future__ import annotations

from mrqc.analysis.scale_groups import ScaleGroups
from mrqc.ir.graph import Module
from mrqc.ir.op import Op
from mrqc.ops import nn
from mrqc.passes.requantize.form import Layer

HOMOGENEOUS = (
    nn.Add,
    nn.Sub,
    nn.Maximum,
    nn.Minimum,
    nn.Clip,
    nn.MaxPool2D,
    nn.AveragePool2D,
    nn.Mean,
    nn.Sum,
    nn.Reshape,
    nn.Transpose,
    nn.Slice,
    nn.Take,
    nn.Pad,
    nn.MirrorPad,
    nn.Concat,
    nn.ResizeNearest,
    nn.ResizeBilinear,
    nn.Abs,
    nn.Relabel,
)
"""Ops whose result is multiplied by what all their operands are multiplied by."""


def is_homogeneous(op: Op) -> bool:
    """Whether an op gives c times its result for c times its activations; a layer does whatever its weights do."""
    return isinstance(op, (*HOMOGENEOUS, nn.Conv2D, nn.TransposeConv2D, nn.FullyConnected))


def fixed_groups(module: Module, groups: ScaleGroups) -> frozenset[int]:
    """Return the exact groups whose scale is no mere label: what makes or uses a member is not homogeneous.

    An index of the greatest and a softmax, which divides by the label again, take any label; so does a conversion at
    the edge of the graph.
    """
    found: set[int] = set()
    for statement in module.graph.statements:
        op = statement.op
        if is_homogeneous(op) or isinstance(op, Layer | nn.Constant | nn.Quantize | nn.ArgMax):
            continue
        operands = () if isinstance(op, nn.Softmax) else op.operands
        found |= {groups.group_of[value] for value in (*operands, statement.result) if value in groups.group_of}
    return frozenset(found)
