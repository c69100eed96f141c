"""Limits that hardware sets to what follows an accumulator."""

from __future__ import annotations

from collections.abc import Iterator

from mrqc.ir.op import Op
from mrqc.ops import int as int_ops
from mrqc.ops.int import Requantize
from mrqc.targets import OpSupport, Target


def requantize_problems(op: Op, requantize: Requantize, target: Target, support: OpSupport) -> Iterator[str]:
    """Yield a sentence for each way in which the arithmetic of an op is not the accelerator's."""
    scheme = target.requantize
    if requantize.rounding is not scheme.rounding:
        yield f"rounds {requantize.rounding}, the target {scheme.rounding} (requantize.rounding)"
    multipliers = _multipliers(op, support)
    if scheme.only_shifts and any(multiplier & (multiplier - 1) for multiplier in multipliers):
        yield "needs a multiplier that is no power of two (requantize.multiplier)"
    if scheme.bits is not None and max(multipliers, default=0) >> scheme.bits:
        yield f"needs a multiplier of more than {scheme.bits} bits (requantize.bits)"
    yield from _shift_problems(op, requantize, target, support)
    if requantize.is_per_channel and not target.weight.is_per_channel_for(op.mnemonic):
        key = "weight.per_tensor_ops" if target.weight.is_per_channel else "weight.granularity"
        yield f"has a scale for each channel, the target one for the layer ({key})"
    yield from _code_problems(op, requantize, target)


def _multipliers(op: Op, support: OpSupport) -> list[int]:
    """Return what the accelerator would multiply by; the multiplier that stands for a division is its own."""
    if isinstance(op, int_ops.AveragePool2D):
        reciprocal = support.reciprocal(op.kernel)
        if reciprocal is not None and op.requantize.multiplier == (reciprocal.multiplier,):
            return []
    requantize = getattr(op, "requantize", None)
    assert isinstance(requantize, Requantize)
    return [*requantize.multiplier, *map(abs, _operand_multipliers(op))]


def _operand_multipliers(op: Op) -> tuple[int, ...]:
    match op:
        case int_ops.Add():
            return op.lhs_multiplier, op.rhs_multiplier
        case int_ops.RescaledAdd():
            return op.lhs_scaling.multiplier, op.rhs_scaling.multiplier
        case _:
            return ()


def _shift_problems(op: Op, requantize: Requantize, target: Target, support: OpSupport) -> Iterator[str]:
    low, high = target.requantize.shift if support.shift is None else support.shift
    key = "requantize.shift" if support.shift is None else f"ops.{op.mnemonic}.shift"
    shifts = requantize.shift
    exponents = [abs(multiplier).bit_length() - 1 for multiplier in _operand_multipliers(op) if multiplier]
    if exponents and support.shift is not None:
        # From the scale of the coarser operand, which gained the most bits on the common grid.
        shifts = tuple(shift - max(exponents) for shift in shifts)
    if any(not low <= shift <= high for shift in shifts):
        yield f"needs a right shift outside [{low}, {high}] ({key})"
    if exponents and support.operand_shift is not None:
        low, high = support.operand_shift
        between = max(exponents) - min(exponents)
        if not low <= between <= high:
            yield (
                f"its operands lie {between} bits apart, the target takes {low} to {high} "
                f"(ops.{op.mnemonic}.operand_shift)"
            )


def _code_problems(op: Op, requantize: Requantize, target: Target) -> Iterator[str]:
    activation = target.activation
    if requantize.zero_point != 0 and activation.symmetric:
        yield f"has zero point {requantize.zero_point}, the target is symmetric (activation.symmetric)"
    dtype = op.infer()[0].dtype
    if dtype not in activation.storages:
        stored = " or ".join(activation.storages)
        yield f"gives {dtype}, the target stores activations as {stored} (activation.dtype)"
        return
    low, high = activation.code_range(dtype)
    if requantize.minimum < low or requantize.maximum > high:
        yield (
            f"gives codes from {requantize.minimum} to {requantize.maximum}, the target holds {low} to {high} "
            "(activation.range)"
        )
