"""What a pass is: a frozen dataclass whose fields are its options."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Literal

from mrqc.calibration.teacher import Teacher
from mrqc.ir.graph import Module

Exactness = Literal["exact", "lossy"]
"""``exact``: the module's results keep every bit; ``lossy``: they may change, as the pass's docstring says."""


class Pass(ABC):
    """A function from module to module, by name.

    A concrete pass is a frozen dataclass. Its fields are the options of the textual form, ``name{option=value}``; a
    field annotated ``Target`` is filled in with the target of the compilation.
    """

    name: ClassVar[str]
    """As pipelines spell it: ``fold-qdq`` is class ``FoldQdq`` in ``fold_qdq.py``."""
    summary: ClassVar[str]
    """One line for ``mrqc passes``."""
    exactness: ClassVar[Exactness]

    @abstractmethod
    def __call__(self, module: Module) -> Module:
        """Return the rewritten module.

        Raises:
            TargetError: The target cannot run the module; all reasons at once.
            InputError: The module is not of the kind that the pass works on.
        """


class CalibratedPass(Pass):
    """A pass that looks at what the original model does: the manager hands it a teacher.

    The teacher is the module before the first lossy pass of the pipeline, without a quantize or dequantize at its
    edges; it computes nothing until it is asked.
    """

    @abstractmethod
    def run(self, module: Module, teacher: Teacher) -> Module:
        """Return the rewritten module; ``teacher.progress`` takes what a person should see of long work.

        Raises:
            TargetError: The target cannot run the module; all reasons at once.
            InputError: The module is not of the kind that the pass works on, or a sample cannot be read.
        """

    def __call__(self, module: Module) -> Module:
        """Return the module rewritten with itself as its teacher, on synthetic samples."""
        return self.run(module, Teacher(module))
