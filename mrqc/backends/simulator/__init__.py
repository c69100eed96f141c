"""The bit-exact interpreter of ``int.*`` modules, in numpy and independent of the emitted C."""

from mrqc.backends.simulator.program import Program

__all__ = ["Program"]
