"""What a caller of a module must know of its inputs and outputs."""

from __future__ import annotations

from mrqc.ir.types import TensorType


def tensor_facts(name: str, type_: TensorType) -> dict[str, object]:
    """Return ``{name, shape, dtype, scale, zero_point}`` for JSON.

    Scale and zero point are numbers for a per-tensor scheme, lists for a per-axis one, null for real numbers.
    """
    quantization = type_.quantization
    scale: object = None
    zero_point: object = None
    if quantization is not None:
        per_tensor = quantization.is_per_tensor
        scale = quantization.scale if per_tensor else list(quantization.scales)
        zero_point = quantization.zero_point if per_tensor else list(quantization.zero_points)
    return {
        "name": name,
        "shape": list(type_.shape),
        "dtype": str(type_.dtype),
        "scale": scale,
        "zero_point": zero_point,
    }


def describe_tensor(name: str, type_: TensorType) -> tuple[str, str, str]:
    """Return name, type and quantization as the cells of a table."""
    quantization = type_.quantization
    if quantization is None:
        meaning = ""
    elif quantization.is_per_tensor:
        meaning = f"scale {quantization.scale:.9g}, zero point {quantization.zero_point}"
    else:
        meaning = f"{len(quantization.scales)} scales along axis {quantization.axis}"
    return (name, f"{type_.dtype} [{', '.join(map(str, type_.shape))}]", meaning)
