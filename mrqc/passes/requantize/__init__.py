"""Moving a quantized module to the scheme of a target."""

from mrqc.passes.requantize.requantize import Requantize

__all__ = ["Requantize"]
