"""Labels with short mantissas, whose ratios are powers of two exactly in single precision.

Where hardware only shifts, a scale is a label, and any set of labels with the same ratios will do. One mantissa serves
all activations, that of the first input's scale cut to 12 significant bits, so that weights have powers of two. What
a mean over n codes reads has n times that mantissa, and the layers in front have n in their weights. Layers that
nothing but an output follows carry the scale of that in the bits that are left of 24. So every product of two labels,
such as the scale of a bias, is a number of single precision.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import networkx as nx

from mrqc.analysis.scale_groups import TIES, ScaleGroups, scale_groups, state_edges
from mrqc.ir.graph import Module
from mrqc.ir.op import Value
from mrqc.numerics import power_of_two_exponent
from mrqc.ops import nn
from mrqc.passes.requantize.form import Layer, scale_of
from mrqc.passes.requantize.labels import fixed_groups
from mrqc.passes.requantize.plan import tie_conditions
from mrqc.targets import Target

PRECISION = 24
"""Significant bits of a number of single precision."""
_LEAST_BITS = 9
"""Scales of inputs and outputs that have fewer would be worse than a relabelling."""
_TOLERANCE = 1e-9
"""Ratios that are meant to be powers of two are this close to one."""


@dataclass(frozen=True, slots=True)
class _Link:
    """``scale(first) = count * scale(second)`` but for a power of two; between the ends of a layer, count divides."""

    first: Value
    second: Value
    count: int = 1


def short_labels(module: Module, target: Target) -> dict[Value, float]:
    """Return a scale for each activation whose scale is a mere label, on a target that only shifts.

    The ratios that are powers of two, or a power of two over a count, stay so, and are exact. Inputs and outputs keep
    their scales to 12 significant bits, less where a mean reads them, wherever nothing else has to have theirs.
    Activations that a function is computed of are left out: their scales are more than labels. So is everything where
    a mean and an addition leave no common mantissa.
    """
    groups = scale_groups(module, tie_conditions(target))
    fixed = fixed_groups(module, groups)
    ties = [*_ties(module, target), *_state_ties(module, groups)]
    tied: nx.Graph[Value] = nx.Graph()
    tied.add_nodes_from(groups.group_of)
    tied.add_edges_from((link.first, link.second) for link in ties)
    bound: set[Value] = set()
    for value, group in groups.group_of.items():
        if group in fixed and value not in bound:
            bound |= nx.node_connected_component(tied, value)
    free = [value for value in groups.group_of if value not in bound]
    tied.remove_nodes_from(bound)
    ties = [link for link in ties if link.first not in bound]
    layers = [
        _Link(statement.op.input, statement.result)
        for statement in module.graph.statements
        if isinstance(statement.op, Layer) and not {statement.op.input, statement.result} & bound
    ]
    factors = _odd_factors(free, ties, layers)
    if factors is None or not free:
        return {}
    continued = {s.op.input for s in module.graph.statements if isinstance(s.op, Layer)}
    order = {value: index for index, value in enumerate(free)}
    components = [sorted(members, key=order.__getitem__) for members in nx.connected_components(tied)]
    entry = next((value for value in free if value in module.graph.inputs), free[0])
    last = [entry not in members and not continued & {*members} for members in components]
    shared = [factors[value] for members, ends in zip(components, last, strict=True) if ends for value in members]
    base = _base(entry, factors, max(shared, default=1))
    labels: dict[Value, float] = {}
    for members, ends in zip(components, last, strict=True):
        labels |= _component_labels(members, factors, base, ends)
    return labels


def shortened(number: float, bits: int) -> float:
    """Return the nearest number with so many significant bits."""
    mantissa, exponent = math.frexp(number)
    return math.ldexp(round(math.ldexp(mantissa, bits)), exponent - bits)


def multiple_near(label: float, wanted: float) -> float:
    """Return the multiple of a label, by a number with few bits, that is nearest to a scale in single precision."""
    digits = int(math.ldexp(math.frexp(label)[0], PRECISION))
    used = (digits // (digits & -digits)).bit_length()
    # A power of two takes no bit.
    return label * shortened(wanted / label, PRECISION if used == 1 else max(PRECISION - used, 1))


def _ties(module: Module, target: Target) -> Iterator[_Link]:
    """Yield the links between operands and results that the module's own scales have."""
    conditions = tie_conditions(target)
    for statement in module.graph.statements:
        op, result = statement.op, statement.result
        if isinstance(op, nn.Relabel):
            # Its factor is what is between two labels: a power of two will do.
            quantizations = (op.input.type.quantization, result.type.quantization)
            if all(each is not None and each.is_per_tensor for each in quantizations):
                yield _Link(op.input, result)
            continue
        for tie in TIES[type(op)](op, result, conditions):
            count = _odd_part(round(2.0**-tie.offset))
            ratio = scale_of(tie.first.type.element) / (scale_of(tie.second.type.element) * count)
            if power_of_two_exponent(ratio, _TOLERANCE) is not None:
                yield _Link(tie.first, tie.second, count)


def _state_ties(module: Module, groups: ScaleGroups) -> Iterator[_Link]:
    """Yield the links between the two ends of states that no conversion to the host's scheme stands at."""
    for value, following in state_edges(module):
        if value in groups.group_of and following in groups.group_of:
            yield _Link(value, following)


def _odd_factors(free: list[Value], ties: list[_Link], layers: list[_Link]) -> Mapping[Value, int] | None:
    """Return the least odd factor of each mantissa: along ties as they say, along layers a multiple.

    None if there are none: around some loop of means, additions and layers they would grow for ever.
    """
    factors = dict.fromkeys(free, 1)
    changed = True
    while changed:
        before = dict(factors)
        for link in ties:
            first = math.lcm(factors[link.first], factors[link.second] * link.count)
            factors[link.first], factors[link.second] = first, first // link.count
        for link in layers:
            factors[link.second] = math.lcm(factors[link.first], factors[link.second])
        if max(factors.values(), default=1) >= 1 << PRECISION:
            return None
        changed = factors != before
    return factors


def _base(entry: Value, factors: Mapping[Value, int], shared: int) -> float:
    """Return what all mantissas are multiples of, so that the entry keeps its scale; 1 where bits are too few.

    Args:
        entry: The first input.
        factors: Of each mantissa.
        shared: The greatest factor of what comes last: what it leaves of 24 bits the base and the last weights share.
    """
    bits = min((PRECISION - (shared - 1).bit_length()) // 2, PRECISION - (max(factors.values()) - 1).bit_length())
    return shortened(scale_of(entry.type.element) / factors[entry], bits) if bits >= _LEAST_BITS else 1.0


def _component_labels(
    members: list[Value], factors: Mapping[Value, int], base: float, is_last: bool
) -> dict[Value, float]:
    """Return the labels of tied activations.

    Args:
        members: What ties join.
        factors: Of each mantissa.
        base: What all mantissas are multiples of.
        is_last: Whether no layer reads any of them, so that they may have their own scales.
    """
    if is_last:
        widest = base * max(factors[value] for value in members)
        wanted = scale_of(members[0].type.element) / factors[members[0]]
        base *= multiple_near(widest, widest * wanted / base) / widest
    mantissas = {value: base * factors[value] for value in members}
    scales = {value: scale_of(value.type.element) for value in members}
    first = members[0]
    stretch = mantissas[first] * _nearest_power(scales[first] / mantissas[first]) / scales[first]
    return {
        value: mantissa * _nearest_power(scales[value] * stretch / mantissa) for value, mantissa in mantissas.items()
    }


def _nearest_power(ratio: float) -> float:
    # Scales an octave apart must not fall on two sides of a tie.
    return 2.0 ** math.floor(math.log2(ratio) + 0.5 + _TOLERANCE)


def _odd_part(number: int) -> int:
    return number // (number & -number)
