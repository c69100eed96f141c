"""The text of the emitted function: one block for each layer, with the user's name for it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence

from mrqc.backends.c.calls import Argument, Contents, KernelCall, Null, Number, Record, Table, Tensor, TensorList
from mrqc.backends.c.library import ELEMENT_TYPES, Selection, wrap_lists
from mrqc.backends.c.literals import integer, record_definition
from mrqc.backends.c.names import comment_text
from mrqc.backends.c.placement import Home
from mrqc.backends.c.plan import Plan
from mrqc.ir import DType, Statement, Value

_COMMENT_WIDTH = 100


class BodyWriter:
    """Writes the statements of the function for one plan."""

    def __init__(
        self,
        plan: Plan,
        inputs: Sequence[str],
        outputs: Sequence[str],
        tables: Mapping[Contents, str],
        kernels: Selection,
    ) -> None:
        """Prepare to write.

        Args:
            plan: What to write.
            inputs: What the buffers of the module's inputs are called: parameters, or members of the state.
            outputs: The same for the module's outputs.
            tables: Names of the arrays in flash.
            kernels: Takes note of the kernels that are called.
        """
        self._plan = plan
        self._inputs = inputs
        self._outputs = outputs
        self._tables = tables
        self._kernels = kernels
        self._tensors: dict[Value, str] = {}
        self._used: set[str] = set()
        module = plan.module
        kept = {state.input for state in module.states}
        given = zip(module.graph.inputs, inputs, strict=True)
        self._parameters = [name for value, name in given if value.name not in kept]
        self._next_states = {state.output for state in module.states}

    def write(self) -> str:
        """Return the statements, indented."""
        layers = [self._layer(index, *entry) for index, entry in enumerate(self._plan.calls)]
        copies = [self._copy(index, value) for index, value in self._plan.placement.copies]
        unused = [f"(void){name};" for name in (*self._parameters, "arena") if name not in self._used]
        statements = "\n\n".join([*layers, *copies])
        if self._next_states and "state->" not in statements:
            unused.append("(void)state;")
        text = "\n\n".join(["\n".join(unused), statements]).strip()
        return wrap_lists(textwrap.indent(text, "    "))

    def _layer(self, index: int, statement: Statement, call: KernelCall | None) -> str:
        comment = _comment(f"{index}. {_description(statement)}")
        if call is None:
            return comment
        declaration = list(self._declare_result(index, statement.result))
        function = self._kernels.add(call.kernel, call.binding)
        records = [record_definition(argument) for argument in call.arguments if isinstance(argument, Record)]
        records += [self._pointers(argument) for argument in call.arguments if isinstance(argument, TensorList)]
        arguments = ", ".join(self._argument(argument) for argument in call.arguments)
        block = textwrap.indent("\n".join([*records, f"{function}({arguments});"]), "    ")
        return "\n".join([comment, *declaration, "{", block, "}"])

    def _declare_result(self, index: int, value: Value) -> Iterator[str]:
        """Yield the pointer to a result that lives in the arena."""
        place = self._plan.placement.places[value]
        if place.home is not Home.ARENA:
            return
        name = f"tensor_{index}"
        self._tensors[value] = name
        self._used.add("arena")
        address = f"arena + {place.index}" if place.index else "arena"
        type_ = ELEMENT_TYPES[value.type.dtype]
        if type_ != "uint8_t":
            address = f"({type_} *)({address})" if place.index else f"({type_} *){address}"
        yield f"{type_} *const {name} = {address};"

    def _argument(self, argument: Argument) -> str:
        match argument:
            case Number(value=number):
                return integer(number)
            case Null():
                return "NULL"
            case Record(name=name):
                return f"&{name}"
            case TensorList(name=name):
                return name
            case Table():
                return self._tables[argument.contents]
            case Tensor(value=value):
                return self._pointer(value)

    def _pointers(self, tensors: TensorList) -> str:
        """Return the definition of an array of pointers."""
        type_ = ELEMENT_TYPES[tensors.values[0].type.dtype]
        pointers = ", ".join(self._pointer(value) for value in tensors.values)
        return f"const {type_} *const {tensors.name}[{len(tensors.values)}] = {{{pointers}}};"

    def _pointer(self, value: Value) -> str:
        """Return the expression of a pointer to the elements of ``value``, as kernels take it."""
        place = self._plan.placement.places[value]
        if place.home is Home.ARENA:
            return self._tensors[self._plan.placement.roots[value]]
        name = self._buffer(value)
        if value.type.dtype in (DType.I8, DType.U8):
            return name
        constness = "" if place.home is Home.OUTPUT else "const "
        return f"({constness}{ELEMENT_TYPES[value.type.dtype]} *){name}"

    def _buffer(self, value: Value) -> str:
        """Return the name of the array outside the arena that holds ``value``."""
        place = self._plan.placement.places[value]
        match place.home:
            case Home.INPUT:
                name = self._inputs[place.index]
            case Home.OUTPUT:
                name = self._outputs[place.index]
            case Home.CONSTANT:
                name = self._tables[self._plan.constant_table(value).contents]
            case Home.ARENA:
                raise AssertionError(f"{value} has no array of its own")
        self._used.add(name)
        return name

    def _copy(self, index: int, value: Value) -> str:
        output = self._plan.module.graph.outputs[index]
        if output.name in self._next_states:
            comment = _comment(f"state {output.name} is {value}")
        else:
            comment = _comment(f"output {output.name} is {value} once more")
        in_arena = self._plan.placement.places[value].home is Home.ARENA
        source = self._pointer(value) if in_arena else self._buffer(value)
        return f"{comment}\nmemcpy({self._outputs[index]}, {source}, {value.type.bytes});"


def _comment(text: str) -> str:
    """Return a comment in lines of readable length, as far as the model's names have spaces."""
    lines = textwrap.wrap(comment_text(text), _COMMENT_WIDTH, break_long_words=False, break_on_hyphens=False)
    return "/* " + "\n * ".join(lines) + " */"


def _description(statement: Statement) -> str:
    """Return the layer's source, op and shapes."""
    op = statement.op
    location = f"{statement.location}: " if statement.location.sources else ""
    operands = ", ".join(f"{operand.type.dtype} {list(operand.type.shape)}" for operand in op.operands)
    result = statement.result.type
    return f"{location}{op.mnemonic} {operands} -> {result.dtype} {list(result.shape)}"
