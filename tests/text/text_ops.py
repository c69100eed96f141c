"""Ops that exist for these tests only: together they use every kind of field that an op can have."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import ClassVar

from mrqc.ir import FLOAT, Data, DType, Element, Op, TensorType, Value


class Mode(StrEnum):
    PLAIN = "plain"
    HALF_UP = "half-up"
    LIKE_A_NUMBER = "inf"
    LIKE_A_KEYWORD = "none"
    WITH_BLANKS = 'two "words"'


class Level(Enum):
    LOW = 1
    HIGH = -2


@dataclass(frozen=True)
class Limits:
    low: float
    high: float = 1.0
    modes: tuple[Mode, ...] = ()
    table: Data | None = None


@dataclass(frozen=True)
class Everything(Op):
    """An op with one attribute of every kind."""

    mnemonic: ClassVar[str] = "test.everything"
    first: Value
    second: Value | None = None
    third: Value | None = None
    others: tuple[Value, ...] = ()
    flag: bool = False
    count: int = 0
    ratio: float = 0.0
    label: str = ""
    mode: Mode = Mode.PLAIN
    level: Level = Level.LOW
    dtype: DType = DType.I8
    sizes: tuple[int, ...] = ()
    ratios: tuple[float, ...] = (0.0,)
    labels: tuple[str, ...] = ()
    mixed: tuple[int, str, bool] = (0, "", False)
    nested: tuple[tuple[int, ...], ...] = ()
    maximum: int | None = None
    number: int | float | str | Mode = 0
    limits: Limits | None = None
    table: Data | None = None
    tables: tuple[Data, ...] = ()
    shape: tuple[int, ...] = field(kw_only=True)
    element: Element = FLOAT

    def infer(self) -> tuple[TensorType, ...]:
        return (TensorType(self.shape, self.element),)


@dataclass(frozen=True)
class Split(Op):
    """An op with two results, each with an element of its own."""

    mnemonic: ClassVar[str] = "test.split"
    input: Value
    left: Element
    right: Element

    def problems(self) -> Iterator[str]:
        if self.input.type.rank == 3:
            yield "rank 3 cannot be split"
            yield "rank 3 is odd"

    def infer(self) -> tuple[TensorType, ...]:
        return (TensorType(self.input.type.shape, self.left), TensorType(self.input.type.shape, self.right))


@dataclass(frozen=True)
class Constant(Op):
    mnemonic: ClassVar[str] = "test.constant"
    value: Data
    element: Element

    def infer(self) -> tuple[TensorType, ...]:
        return (TensorType(self.value.shape, self.element),)


TEST_OPS: dict[str, type[Op]] = {op.mnemonic: op for op in (Everything, Split, Constant)}
