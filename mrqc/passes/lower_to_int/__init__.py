"""The one place where scales become multipliers, shifts and rounding modes."""

from mrqc.passes.lower_to_int.lower_to_int import LowerToInt

__all__ = ["LowerToInt"]
