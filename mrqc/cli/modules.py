"""From the arguments of a command to modules."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mrqc.cli import library
from mrqc.cli.console import read_stdin, write_diagnostic
from mrqc.errors import InputError, UsageError

if TYPE_CHECKING:
    from mrqc.calibration import CalibrationSamples, DataSet, PixelNormalization
    from mrqc.cli.options import Recipe
    from mrqc.cli.progress import Activity
    from mrqc.ir.graph import Module
    from mrqc.passes import Instruments, PassRecord
    from mrqc.passes import Recipe as RecipeName

STDIN = "-"


@dataclass
class PassLog:
    """The records of the passes that have run, each shown as it comes."""

    shown: Activity
    records: list[PassRecord] = field(default_factory=lambda: list["PassRecord"]())

    def add(self, record: PassRecord) -> None:
        """Keep a record."""
        self.records.append(record)
        self.shown.describe(f"{record.name}: done in {record.seconds:.1f} s")


@dataclass(frozen=True)
class Images:
    """What the options say about images.

    Attributes:
        normalization: What to do to 8-bit pixels.
        resize: Whether they get the size that the model takes.
    """

    normalization: PixelNormalization | None
    resize: bool

    @classmethod
    def of(cls, mean: str | None, std: str | None, resize: bool) -> Images:
        """Return what ``--mean``, ``--std`` and ``--resize`` say.

        Raises:
            UsageError: A text is not a list of numbers.
        """
        return cls(library.calibration.PixelNormalization.parse(mean, std), resize)

    @classmethod
    def of_calibration(cls, data: Path | None, mean: str | None, std: str | None, resize: bool) -> Images:
        """Return the same for a command that reads no images but those of ``--calib``.

        Raises:
            UsageError: There are no images, or a text is not a list of numbers.
        """
        if data is None and (mean is not None or std is not None):
            raise UsageError("--mean and --std: give --calib, whose images they are for")
        if data is None and resize:
            raise UsageError("--resize: give --calib, whose images it is for")
        return cls.of(mean, std, resize)

    def data(self, path: Path, module: Module) -> DataSet:
        """Return a data set for the only input of a model.

        Raises:
            InputError: The data cannot be read, or do not fit the model.
        """
        value = library.calibration.only_input(module)
        return library.calibration.open_data(path, value, self.normalization, self.resize)


@dataclass(frozen=True)
class Calibration:
    """What the options say about how a model is re-quantized.

    Attributes:
        path: Where samples are; None for synthetic ones.
        recipe: How much work it may take; None for the target's own pipeline.
        limit: How many samples at most; None for as many as are usual.
        images: How images are read.
    """

    path: Path | None
    recipe: RecipeName | None
    limit: int | None
    images: Images

    def samples(self, module: Module) -> CalibrationSamples | None:
        """Return the samples for a model.

        Raises:
            InputError: The data cannot be read, or do not fit the model.
        """
        if self.path is None:
            return None
        limit = library.calibration.DEFAULT_LIMIT if self.limit is None else self.limit
        normalization, resize = self.images.normalization, self.images.resize
        return library.calibration.CalibrationSamples.open(self.path, module, normalization, limit, resize)


def calibration_of(
    target: str | None,
    path: Path | None,
    limit: int | None,
    recipe: Recipe | None,
    images: Images,
) -> Calibration:
    """Return what a command's options say, before any work is done.

    Raises:
        UsageError: An option would have no influence.
    """
    if limit is not None and path is None:
        raise UsageError("--calib-limit: give --calib, whose samples it limits")
    if target is None and (path is not None or recipe is not None):
        option = "--recipe" if path is None else "--calib"
        raise UsageError(f"{option}: give --target; nothing is re-quantized without one")
    return Calibration(path, None if recipe is None else recipe.value, limit, images)


def load_model(model: str, shown: Activity, batch: int | None = None) -> Module:
    """Return the module of a file, or of the text on stdin for ``-``.

    Raises:
        InputError: There is no such file, it is no model that mrqc can read, or its batch is fixed.
        UsageError: ``batch`` is not possible.
    """
    if model == STDIN:
        if batch is not None:
            raise UsageError("--batch: the text on stdin has its batch already")
        return library.compiler.parse(read_stdin(), "<stdin>")
    path = Path(model)
    if path.is_dir():
        raise InputError(f"{path}: is a directory, not a model file")
    if not path.exists():
        raise InputError(f"{path}: no such file")
    shown.describe(f"reading {path.name}")
    return library.compiler.load(path, batch=batch)


def lowered_model(module: Module, target: str | None, shown: Activity, calibration: Calibration) -> Module:
    """Return ``module`` lowered to ``target``; a module that is lowered already needs no target.

    Raises:
        UsageError: A target is needed and absent.
        InputError: The calibration data cannot be read, or do not fit the model.
        MrqcError: As :func:`mrqc.compiler.lower`.
    """
    if target is None:
        if not library.bit_check.is_integer_module(module):
            raise UsageError(f"--target is needed: module {module.name} has not been lowered")
        return module
    samples = calibration.samples(module)
    shown.describe(f"lowering to {target}")
    observed = instruments(PassLog(shown))
    return library.compiler.lower(module, target, samples, recipe=calibration.recipe, instruments=observed)


def instruments(log: PassLog, print_after: str | None = None, check_bits: bool = False) -> Instruments:
    """Return what the options ask to observe; printed modules go to stderr."""
    names = () if print_after is None else (name.strip() for name in print_after.split(","))
    return library.passes.Instruments(
        print_after=frozenset(names),
        check_bits=check_bits,
        emit=write_diagnostic,
        on_pass=log.add,
        on_progress=log.shown.report,
    )
