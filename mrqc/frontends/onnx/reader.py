"""From a path to the protobuf model, with a clear message for everything that is no ONNX file."""

from __future__ import annotations

import os
from pathlib import Path

from google.protobuf.message import DecodeError
from onnx import ModelProto, TensorProto
from onnx.checker import ValidationError
from onnx.external_data_helper import load_external_data_for_tensor, uses_external_data

from mrqc.errors import Diagnostic, InputError

_SHOWN_BYTES = 16


def read_model(path: Path) -> ModelProto:
    """Return the model that the file at ``path`` holds, with external data loaded from its folder.

    Raises:
        InputError: The file does not exist, cannot be read, is not ONNX or cut short, or its external data is
            missing; the message has the path and what was found there.
    """
    raw = _read_bytes(path)
    try:
        model = ModelProto.FromString(raw)
    except DecodeError:
        raise InputError(f"{path}: not an ONNX model, or cut short: found {_describe(raw)}") from None
    if not model.HasField("graph"):
        raise InputError(f"{path}: not an ONNX model: there is no graph in it; found {_describe(raw)}")
    problems = [
        problem
        for tensor in model.graph.initializer
        if uses_external_data(tensor) and (problem := _load_external(tensor, path.parent))
    ]
    if problems:
        raise InputError.collect(str(path), problems)
    return model


def _read_bytes(path: Path) -> bytes:
    if path.is_dir():
        raise InputError(f"{path}: expected an ONNX file, found a directory")
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {_reason(error)}") from None
    if not raw:
        raise InputError(f"{path}: expected an ONNX file, found an empty file")
    return raw


def _reason(error: OSError) -> str:
    return os.strerror(error.errno).lower() if error.errno is not None else str(error)


def _describe(raw: bytes) -> str:
    """Say what a file that is not ONNX seems to be."""
    if raw[4:8] == b"TFL3":
        return "a TensorFlow Lite model"
    if raw[:4] == b"PK\x03\x04":
        return "a zip archive"
    return f"{len(raw)} bytes that begin with {raw[:_SHOWN_BYTES]!r}"


def _load_external(tensor: TensorProto, folder: Path) -> Diagnostic | None:
    try:
        load_external_data_for_tensor(tensor, str(folder))
    except (OSError, ValueError, ValidationError) as error:
        reason = _reason(error) if isinstance(error, OSError) else str(error)
        return Diagnostic(f"its external data cannot be read: {reason}", f"initializer {tensor.name!r}")
    return None
