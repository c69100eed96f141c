"""From the text to a verified module."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mrqc.errors import InputError
from mrqc.ir.graph import Graph, Module, Output, State, Statement
from mrqc.ir.location import Location
from mrqc.ir.op import Op, Value
from mrqc.ir.text.attributes import Context, close_match_hint, read_attribute, read_string
from mrqc.ir.text.constants import ConstantReader
from mrqc.ir.text.forms import OpForm, op_form
from mrqc.ir.text.literals import read_float, value_name
from mrqc.ir.text.parser import parse_syntax
from mrqc.ir.text.source import SourceText, TextError
from mrqc.ir.text.syntax import ModuleSyntax, RecordSyntax, StatementSyntax, Token
from mrqc.ir.text.types import TypeReader, type_text
from mrqc.ir.types import TensorType
from mrqc.ir.verify import verify


def parse_module(text: str, ops: Mapping[str, type[Op]], file: str = "<string>") -> Module:
    """Return the module that ``text`` holds, verified.

    Args:
        text: The textual IR, constants included.
        ops: The ops that may occur, by mnemonic.
        file: Name of the text, for messages and for the location of statements that have none of their own.

    Raises:
        InputError: The text is not a module. The message has ``file:line:column``, the line and carets for every
            finding; ``diagnostics`` has one entry each.
    """
    source = SourceText(text, file)
    return _ModuleReader(source, parse_syntax(source), ops).module()


class _ModuleReader:
    """Looks up and checks what the syntax names, statement by statement, and collects what is wrong."""

    def __init__(self, source: SourceText, syntax: ModuleSyntax, ops: Mapping[str, type[Op]]) -> None:
        self._source = source
        self._syntax = syntax
        self._ops = ops
        self._types = TypeReader()
        self._problems: list[TextError] = []
        # None stands for a value whose type could not be read; what uses it is skipped in silence.
        self._values: dict[str, Value | None] = {}
        self._constants = ConstantReader([], self._types)

    def module(self) -> Module:
        syntax = self._syntax
        try:
            self._constants = ConstantReader(syntax.blobs, self._types)
        except TextError as problem:
            self._problems.append(problem)
        metadata = self._metadata(syntax.metadata)
        inputs = [self._define(name, self._type(type_)) for name, type_ in syntax.inputs]
        statements = [self._statement(statement) for statement in syntax.statements]
        outputs = self._outputs()
        graph = Graph(
            tuple(value for value in inputs if value),
            tuple(statement for statement in statements if statement),
            tuple(outputs),
        )
        states = self._states(graph)
        self._raise_if_any()
        module = Module(syntax.name.text[1:], graph, metadata, states)
        self._verify(module)
        return module

    def _raise_if_any(self) -> None:
        if self._problems:
            raise self._source.error(self._problems)

    def _verify(self, module: Module) -> None:
        diagnostics = verify(module)
        if not diagnostics:
            return
        # The verifier knows no places, so the rules are asked again, one statement at a time.
        for statement, syntax in zip(module.graph.statements, self._syntax.statements, strict=True):
            self._problems += _rule_problems(statement, syntax)
        self._raise_if_any()
        raise InputError.collect(self._source.file, diagnostics)

    def _metadata(self, syntax: RecordSyntax | None) -> tuple[tuple[str, str], ...]:
        facts: dict[str, str] = {}
        for key, fact in syntax.entries if syntax else ():
            name = self._string(key) if key.type == "STRING" else key.text
            if name in facts:
                self._report(f"fact {name!r} is given twice", key)
            if isinstance(fact, Token) and fact.type == "STRING":
                facts[name] = self._string(fact)
            else:
                found = self._source.found(fact)
                self._report(f"a fact about the module is a quoted string, found {found}", fact)
        return tuple(facts.items())

    def _outputs(self) -> list[Output]:
        outputs: list[Output] = []
        names: set[str] = set()
        if not self._syntax.outputs:
            self._report("a module needs at least one output", self._syntax.name)
        for value_token, name_token in self._syntax.outputs:
            name = self._string(name_token)
            if name in names:
                self._report(f"output name {name!r} is used twice", name_token)
            names.add(name)
            value = self._use(value_token)
            if value is not None:
                outputs.append(Output(name, value))
        return outputs

    def _states(self, graph: Graph) -> tuple[State, ...]:
        inputs = [value.name for value in graph.inputs]
        outputs = [output.name for output in graph.outputs]
        states: list[State] = []
        for input_token, number, output_token in self._syntax.states:
            name, output = self._name(input_token), self._string(output_token)
            if name not in inputs:
                hint = close_match_hint(name, inputs)
                self._report(f"a state is an input, and {input_token.text} is none", input_token, hint)
            if output not in outputs:
                hint = close_match_hint(output, outputs)
                self._report(f"a state takes over an output, and {output_token.text} is none", output_token, hint)
            try:
                states.append(State(name, output, read_float(number.text)))
            except ValueError as error:
                self._report(str(error), number)
        return tuple(states)

    def _statement(self, syntax: StatementSyntax) -> Statement | None:
        types: list[TensorType | None] = [self._type(type_) for type_ in syntax.types]
        if len(types) != len(syntax.results):
            message = f"{_amount(len(syntax.results), 'result')} but {_amount(len(types), 'type')}"
            self._report(message, syntax.mnemonic)
            types = [None for _ in syntax.results]
        before = len(self._problems)
        op = self._op(syntax, types)
        results = [self._define(token, type_) for token, type_ in zip(syntax.results, types, strict=True)]
        location = self._location(syntax)
        if op is None or len(self._problems) > before:
            return None
        return Statement(tuple(result for result in results if result), op, location)

    def _op(self, syntax: StatementSyntax, types: list[TensorType | None]) -> Op | None:
        name = syntax.mnemonic.text
        op = self._ops.get(name)
        operands = [self._use(token) if token.type == "VALUE" else None for token in syntax.operands]
        if op is None:
            hint = close_match_hint(name, self._ops)
            self._report(f"there is no op {name}", syntax.mnemonic, hint)
            return None
        form = op_form(op)
        before = len(self._problems)
        contents = self._operands(form, syntax, operands)
        known = [type_ for type_ in types if type_ is not None]
        if len(known) == len(types):
            contents.update(self._attributes(form, syntax, known))
            contents.update(self._elements(form, syntax, known))
        poisoned = any(
            token.type == "VALUE" and not value for token, value in zip(syntax.operands, operands, strict=True)
        )
        if poisoned or len(known) < len(types) or len(self._problems) > before:
            return None
        return op(**contents)

    def _operands(self, form: OpForm, syntax: StatementSyntax, values: list[Value | None]) -> dict[str, Any]:
        count, limit = len(values), len(form.singles)
        if count < form.required or (count > limit and form.variadic is None):
            self._report(_count_message(form, syntax), syntax.mnemonic)
            return {}
        for position, token in enumerate(syntax.operands):
            if token.type == "NONE" and (position < form.required or position >= limit):
                self._report("this operand cannot be none", token)
        contents: dict[str, Any] = {field.name: None for field in form.singles}
        contents.update(zip(contents, values, strict=False))
        if form.variadic:
            contents[form.variadic.name] = tuple(values[limit:])
        return contents

    def _attributes(self, form: OpForm, syntax: StatementSyntax, types: list[TensorType]) -> dict[str, Any]:
        mnemonic = syntax.mnemonic
        context = Context(self._source, self._constants, types[0])
        contents: dict[str, Any] = {}
        for key, value in syntax.attributes.entries if syntax.attributes else ():
            field = form.attributes.get(key.text)
            if field is None:
                hint = close_match_hint(key.text, form.attributes) or _attribute_list(form)
                self._report(f"{mnemonic.text} has no attribute {key.text!r}", key, hint)
            elif key.text in contents:
                self._report(f"attribute {key.text!r} is given twice", key)
            else:
                contents[key.text] = None
                try:
                    contents[key.text] = read_attribute(key.text, field.annotation, value, context)
                except TextError as problem:
                    self._problems.append(problem)
        missing = [repr(name) for name in form.mandatory if name not in contents]
        if missing:
            plural = "s" if len(missing) > 1 else ""
            self._report(f"{mnemonic.text} needs the attribute{plural} {' and '.join(missing)}", mnemonic)
        return contents

    def _elements(self, form: OpForm, syntax: StatementSyntax, types: list[TensorType]) -> dict[str, Any]:
        if len(types) < len(form.elements):
            message = f"{syntax.mnemonic.text} has {_amount(len(form.elements), 'result')}, found {len(types)}"
            self._report(message, syntax.mnemonic)
        return {name: type_.element for name, type_ in zip(form.elements, types, strict=False)}

    def _location(self, syntax: StatementSyntax) -> Location:
        if syntax.location is None:
            return Location.of(f"{self._source.file}:{self._source.line(syntax.results[0].start)}")
        return Location(tuple(self._string(token) for token in syntax.location))

    def _type(self, syntax: Any) -> TensorType | None:
        try:
            return self._types.read(syntax)
        except TextError as problem:
            self._problems.append(problem)
            return None

    def _define(self, token: Token, type_: TensorType | None) -> Value | None:
        name = self._name(token)
        if name in self._values:
            self._report(f"{token.text} is defined twice", token)
        value = self._values[name] = None if type_ is None else Value(name, type_)
        return value

    def _use(self, token: Token) -> Value | None:
        name = self._name(token)
        if name not in self._values:
            hint = close_match_hint(token.text, (f"%{known}" for known in self._values))
            self._report(f"{token.text} is used before it is defined", token, hint)
            return None
        return self._values[name]

    def _name(self, token: Token) -> str:
        try:
            return value_name(token.text)
        except ValueError as error:
            self._report(str(error), token)
            return token.text

    def _string(self, token: Token) -> str:
        try:
            return read_string(token)
        except TextError as problem:
            self._problems.append(problem)
            return token.text

    def _report(self, message: str, culprit: Any, hint: str = "") -> None:
        self._problems.append(TextError(message, culprit, hint))


def _rule_problems(statement: Statement, syntax: StatementSyntax) -> Iterator[TextError]:
    op = statement.op
    broken = [TextError(problem, syntax.mnemonic) for problem in op.problems()]
    if broken:
        yield from broken
        return
    inferred = op.infer()
    if len(inferred) != len(statement.results):
        message = f"{op.mnemonic} has {_amount(len(inferred), 'result')}, found {len(statement.results)}"
        yield TextError(message, syntax.mnemonic)
        return
    for result, type_, place in zip(statement.results, inferred, syntax.types, strict=True):
        for problem in type_.problems():
            yield TextError(problem, syntax.mnemonic)
        if result.type != type_:
            yield TextError(_type_message(op.mnemonic, result, type_), place)


def _type_message(mnemonic: str, result: Value, inferred: TensorType) -> str:
    found, expected = type_text(result.type, shorten=True), type_text(inferred, shorten=True)
    if found == expected:
        return f"{result} has other scales or zero points than {mnemonic} gives"
    return f"{result} is declared as {found}, but {mnemonic} gives {expected}"


def _amount(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _count_message(form: OpForm, syntax: StatementSyntax) -> str:
    least, most, given = form.required, len(form.singles), len(syntax.operands)
    names = [field.name for field in form.singles] + ([f"{form.variadic.name}…"] if form.variadic else [])
    amount = f"{least}" if least == most else f"{least} to {most}"
    if form.variadic:
        amount = f"at least {least}"
    noun = "operand" if amount.endswith("1") else "operands"
    return f"{syntax.mnemonic.text} takes {amount} {noun} ({', '.join(names)}), found {given}"


def _attribute_list(form: OpForm) -> str:
    return f"there are {', '.join(form.attributes)}" if form.attributes else "it has none"
