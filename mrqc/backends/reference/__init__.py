"""The interpreter of ``nn.*`` modules over the reals: what the model means, whatever hardware runs it."""

from mrqc.backends.reference.program import ReferenceProgram, kernel_of

__all__ = ["ReferenceProgram", "kernel_of"]
