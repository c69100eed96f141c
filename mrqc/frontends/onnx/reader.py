"""From a path to the protobuf model, with a clear message for everything that is no ONNX file."""

from __future__ import annotations

from pathlib import Path

from google.protobuf.message import DecodeError
from onnx import ModelProto, TensorProto
from onnx.checker import ValidationError
from onnx.external_data_helper import load_external_data_for_tensor, uses_external_data

from mrqc.errors import Diagnostic, InputError
from mrqc.frontends.files import describe_bytes, os_reason, read_model_bytes


def read_model(path: Path) -> ModelProto:
    """Return the model that the file at ``path`` holds, with external data loaded from its folder.

    Raises:
        InputError: The file does not exist, cannot be read, is not ONNX or cut short, or its external data is
            missing; the message has the path and what was found there.
    """
    raw = read_model_bytes(path, "an ONNX file")
    try:
        model = ModelProto.FromString(raw)
    except DecodeError:
        raise InputError(f"{path}: not an ONNX model, or cut short: found {describe_bytes(raw)}") from None
    if not model.HasField("graph"):
        raise InputError(f"{path}: not an ONNX model: there is no graph in it; found {describe_bytes(raw)}")
    problems = [
        problem
        for tensor in model.graph.initializer
        if uses_external_data(tensor) and (problem := _load_external(tensor, path.parent))
    ]
    if problems:
        raise InputError.collect(str(path), problems)
    return model


def _load_external(tensor: TensorProto, folder: Path) -> Diagnostic | None:
    try:
        load_external_data_for_tensor(tensor, str(folder))
    except (OSError, ValueError, ValidationError) as error:
        reason = os_reason(error) if isinstance(error, OSError) else str(error)
        return Diagnostic(f"its external data cannot be read: {reason}", f"initializer {tensor.name!r}")
    return None
