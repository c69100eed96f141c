"""A folder of images, labelled by ``labels.csv`` or not at all."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mrqc.calibration.input_codes import ImageLayout
from mrqc.errors import Diagnostic, InputError
from mrqc.ir.op import Value

LABEL_FILE = "labels.csv"
IMAGE_SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".pgm", ".tif", ".tiff", ".webp"})

_EIGHT_BIT_MODES = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV", "LAB"})
_UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError)
_SHOWN_PROBLEMS = 10


@dataclass(frozen=True, slots=True)
class ImageFolder:
    """Images in order, decoded when they are asked for.

    Attributes:
        files: One path a sample.
        layout: Size and channels that every image must have (grey and colour are converted, sizes only if asked for).
        input_name: For messages.
        resize: Whether images of another size get the layout's: bilinear, over all pixels that a new one covers, and
            without keeping the ratio of the sides.
    """

    files: tuple[Path, ...]
    layout: ImageLayout
    input_name: str
    resize: bool = False

    def __len__(self) -> int:
        """Return how many images there are."""
        return len(self.files)

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Return images ``start`` to ``stop`` as uint8 of shape N,H,W,C.

        Raises:
            InputError: A file is missing, no image, not of 8 bits a channel, or of another size.
        """
        return np.stack([self._decode(path) for path in self.files[start:stop]])

    def _decode(self, path: Path) -> NDArray[Any]:
        width, height = self.layout.width, self.layout.height
        try:
            with Image.open(path) as image:
                if image.size != (width, height) and not self.resize:
                    found = f"{image.size[0]}x{image.size[1]}"
                    raise InputError(
                        f"{path}: the image is {found} (width x height), but input {self.input_name!r} "
                        f"takes {width}x{height} (--resize changes the size of images)"
                    )
                if image.mode not in _EIGHT_BIT_MODES:
                    raise InputError(f"{path}: the image does not have 8 bits a channel (mode {image.mode})")
                converted = image.convert("RGB" if self.layout.channels == 3 else "L")
                # An image that has the size already comes out as it is.
                pixels = np.asarray(converted.resize((width, height), Image.Resampling.BILINEAR))
        except FileNotFoundError:
            raise InputError(f"{path}: no such file") from None
        except _UNREADABLE as error:
            raise InputError(f"{path}: not a readable image: {error}") from error
        return pixels.reshape(self.layout.image_shape)


def open_image_folder(folder: Path, value: Value, resize: bool = False) -> tuple[ImageFolder, NDArray[np.int64] | None]:
    """Return the images of a folder for a model's input, and their labels.

    With ``labels.csv`` (columns ``file`` and ``label``, others are ignored) its rows are the samples; without
    it, all images of the folder in the order of their names, unlabelled. With ``resize`` they may have any size.

    Raises:
        InputError: The input is no image, the folder holds none, or ``labels.csv`` is malformed.
    """
    layout = ImageLayout.of(value.type.shape)
    if layout is None:
        raise InputError(
            f"{folder}: images cannot be the input {value.name!r} of shape {list(value.type.shape)} "
            "(an image has four axes and 1 or 3 channels)"
        )
    label_file = folder / LABEL_FILE
    if label_file.exists():
        names, labels = _read_labels(label_file)
        return ImageFolder(tuple(folder / name for name in names), layout, value.name, resize), labels
    try:
        files = sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
    except OSError as error:
        raise InputError(f"{folder}: cannot be listed: {error.strerror}") from error
    if not files:
        raise InputError(f"{folder}: the folder holds no images and no {LABEL_FILE}")
    return ImageFolder(tuple(files), layout, value.name, resize), None


def _read_labels(path: Path) -> tuple[list[str], NDArray[np.int64]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            columns = reader.fieldnames or []
            rows = [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: not a readable CSV file: {error}") from error
    missing = [column for column in ("file", "label") if column not in columns]
    if missing:
        raise InputError(f"{path}: the first line must name the columns file and label; missing: {', '.join(missing)}")
    if not rows:
        raise InputError(f"{path}: the file lists no images")
    problems = [Diagnostic(problem, f"line {line}") for line, row in rows if (problem := _row_problem(row)) is not None]
    if len(problems) > _SHOWN_PROBLEMS:
        more = len(problems) - _SHOWN_PROBLEMS
        problems = [*problems[:_SHOWN_PROBLEMS], Diagnostic(f"and {more} more lines like these")]
    if problems:
        raise InputError.collect(str(path), problems)
    return [row["file"] for _, row in rows], np.asarray([int(row["label"]) for _, row in rows], np.int64)


def _row_problem(row: dict[str, str | None]) -> str | None:
    if not row["file"]:
        return "the file name is empty"
    label = row["label"] or ""
    if not label.strip().isdecimal():
        return f"the label must be a class number from 0, found {label!r}"
    return None
