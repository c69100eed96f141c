"""Finding and reading target files."""

from __future__ import annotations

import difflib
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel, ValidationError

from mrqc.errors import Diagnostic, InputError
from mrqc.targets.schema import OpSupport, Target

BUILTIN_TARGETS: tuple[str, ...] = (
    "pow2-npu",
    "pow2-npu-unsigned",
    "pow2-npu-per-channel",
    "pow2-npu-restricted",
    "pow2-npu-i16",
    "pow2-scale-npu",
    "sym-npu",
    "sym-npu-unsigned",
    "sym-npu-per-channel",
    "sym-npu-restricted",
    "sym-npu-i16",
    "asym-npu-i8",
    "asym-npu-u8",
    "esp32-s3",
    "esp32-p4",
    "xint8",
    "tflite",
    "tflite-single-rounding",
    "onnxruntime",
)
"""The targets that come with mrqc."""


def load_target(target: str | Path | Target) -> Target:
    """Return a built-in target by name, or one from a TOML file.

    Args:
        target: A name such as ``pow2-npu``, or a path: anything that ends in ``.toml`` or has a directory part.

    Raises:
        InputError: No such target or file, TOML syntax, unknown keys or impossible values; every finding names its key.
    """
    if isinstance(target, Target):
        return target
    if isinstance(target, str) and target in BUILTIN_TARGETS:
        return parse_target(_builtin_text(target), f"{target}.toml")
    path = Path(target)
    if path.suffix != ".toml" and len(path.parts) == 1:
        near = difflib.get_close_matches(str(target), BUILTIN_TARGETS, 1, 0.5)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(BUILTIN_TARGETS)}, or a .toml file"
        raise InputError(f"no target is called {str(target)!r} ({hint})")
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: the target file cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: the target file is not UTF-8 text (byte {error.start})") from error
    return parse_target(text, str(path))


def parse_target(text: str, file: str) -> Target:
    """Return the target that a TOML text describes.

    With ``extends = "NAME"`` the text says only in which keys it differs from a built-in target.

    Raises:
        InputError: With one finding for each wrong key, named ``section.key``.
    """
    content = _content(text, file)
    try:
        return Target.model_validate(content)
    except ValidationError as error:
        findings = [_finding(dict(item)) for item in error.errors(include_url=False)]
        raise InputError.collect(file, findings) from error


def _builtin_text(name: str) -> str:
    return (resources.files("mrqc.targets") / f"{name}.toml").read_text(encoding="utf-8")


def _content(text: str, file: str) -> dict[str, Any]:
    """Return the tables of a text, on top of those of the target that it extends."""
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{file}: not a TOML file: {error}") from error
    base = content.pop("extends", None)
    if base is None:
        return content
    if base not in BUILTIN_TARGETS:
        raise InputError(f"{file}: extends: must be one of {', '.join(BUILTIN_TARGETS)}, found {_toml(base)}")
    extended = _content(_builtin_text(base), f"{base}.toml")
    # A file has its own name and description, or says that they are missing.
    del extended["name"], extended["description"]
    return _merged(extended, content)


def _merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return a table with the entries of ``changes`` in it; tables within are merged alike."""
    result = dict(base)
    for key, entry in changes.items():
        old = result.get(key)
        both_tables = isinstance(entry, dict) and isinstance(old, dict)
        result[key] = _merged(cast(dict[str, Any], old), cast(dict[str, Any], entry)) if both_tables else entry
    return result


def _finding(item: dict[str, Any]) -> Diagnostic:
    path: tuple[str | int, ...] = item["loc"]
    key = ".".join(str(part) for part in path)
    kind: str = item["type"]
    if kind == "extra_forbidden":
        known = _known_keys(path[:-1])
        near = difflib.get_close_matches(str(path[-1]), known, 1, 0.6)
        hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(known)}"
        return Diagnostic("unknown key", key, hint)
    if kind == "missing":
        return Diagnostic("this key is missing", key)
    if kind == "value_error":
        reason = str(item["ctx"]["error"])
        inner, separator, rest = reason.partition(": ")
        if separator and " " not in inner:
            return Diagnostic(rest, f"{key}.{inner}" if key else inner)
        return Diagnostic(reason, key)
    if kind == "literal_error":
        expected = str(item["ctx"]["expected"]).replace("True", "true")
        return Diagnostic(f"must be {expected}, found {_toml(item['input'])}", key)
    message = str(item["msg"])
    return Diagnostic(f"{message[0].lower()}{message[1:]}, found {_toml(item['input'])}", key)


def _toml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value)


def _known_keys(path: tuple[str | int, ...]) -> list[str]:
    """Return the keys of the table at ``path``; below a name in ``[ops]`` those of an op's entry."""
    if not path:
        return sorted([*Target.model_fields, "extends"])
    if path[0] == "ops":
        return sorted(OpSupport.model_fields)
    section = Target.model_fields[str(path[0])].annotation
    assert isinstance(section, type)
    assert issubclass(section, BaseModel)
    return sorted(section.model_fields)
