"""Rule tables: what one consumer of the IR does with each op."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from mrqc.ir.op import Op

RuleT = TypeVar("RuleT")


class RuleTable(Generic[RuleT]):
    """One rule for each op class, for one consumer (an interpreter, an emitter, a pass).

    A table is filled by decorators and then sealed, at import, against the ops it must serve: a hole shows there
    and never on a user's model.
    """

    def __init__(self, consumer: str) -> None:
        """Name the consumer, for messages."""
        self._consumer = consumer
        self._rules: dict[type[Op], RuleT] = {}
        self._sealed = False

    def register(self, *ops: type[Op]) -> Callable[[RuleT], RuleT]:
        """Return a decorator that makes its function the rule of ``ops``.

        Raises:
            TypeError: An op has a rule already, or the table is sealed.
        """

        def decorate(rule: RuleT) -> RuleT:
            if self._sealed:
                raise TypeError(f"the {self._consumer} rules are sealed")
            for op in ops:
                if op in self._rules:
                    raise TypeError(f"{op.mnemonic} has two {self._consumer} rules")
                self._rules[op] = rule
            return rule

        return decorate

    def seal(self, ops: Iterable[type[Op]]) -> None:
        """Close the table.

        Raises:
            TypeError: Some of ``ops`` have no rule, or a rule is for none of ``ops``; all are named.
        """
        wanted = set(ops)
        missing = sorted(op.mnemonic for op in wanted - self._rules.keys())
        foreign = sorted(op.mnemonic for op in self._rules.keys() - wanted)
        if missing:
            raise TypeError(f"no {self._consumer} rule for {', '.join(missing)}")
        if foreign:
            raise TypeError(f"{self._consumer} rules for ops it does not serve: {', '.join(foreign)}")
        self._sealed = True

    @property
    def ops(self) -> frozenset[type[Op]]:
        """The ops that have a rule."""
        return frozenset(self._rules)

    def __contains__(self, op: type[Op]) -> bool:
        """Whether an op class has a rule."""
        return op in self._rules

    def __getitem__(self, op: type[Op]) -> RuleT:
        """Return the rule of an op class.

        Raises:
            LookupError: There is none; a sealed table has one for every op it serves.
        """
        try:
            return self._rules[op]
        except KeyError:
            raise LookupError(f"no {self._consumer} rule for {op.mnemonic}") from None
