"""The ``main`` around an emitted kernel: reads inputs, runs, guards the memory around every buffer, writes outputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mrqc.backends.c.header import state_members
from mrqc.backends.c.literals import C_TYPES
from mrqc.ir import Module

GUARD = 64
"""Elements before and after each buffer that must still be there after a run."""

_TEMPLATE = """\
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "{name}.h"

enum {{ GUARD = {guard}, MISALIGNMENT = {misalignment} }};

{buffers}{state}
static uint8_t arena[GUARD + MISALIGNMENT + {prefix}_ARENA_BYTES + GUARD];

static void fail(const char *message, const char *subject)
{{
    fprintf(stderr, "%s %s\\n", message, subject);
    exit(3);
}}

/* The bytes in which a buffer is embedded must be the ones that it was filled with. */
static void check(const void *buffer, size_t guard, size_t size, int pattern, const char *subject)
{{
    const unsigned char *bytes = (const unsigned char *)buffer;
    for (size_t i = 0; i < guard; i++) {{
        if (bytes[i] != pattern || bytes[size - 1 - i] != pattern) {{
            fail("written outside of", subject);
        }}
    }}
}}

/* The pattern differs from run to run: no result may depend on what was in a buffer before. */
static void run(int pattern)
{{
{prepare}
    {name}_run({arguments});
{check}
}}

static double measure(long repeats)
{{
    double best = -1.0;
    for (long i = 0; i < repeats; i++) {{
        const clock_t start = clock();
        double seconds;
        {name}_run({arguments});
        seconds = (double)(clock() - start) / (double)CLOCKS_PER_SEC;
        best = best < 0.0 || seconds < best ? seconds : best;
    }}
    return best;
}}

int main(int argc, char **argv)
{{
    FILE *input_file;
    FILE *output_file;
    long samples;
    if (argc != 5 && argc != 6) {{
        fail("usage: INPUT OUTPUT SAMPLES REPEATS [stream], not", argv[0]);
    }}
    samples = strtol(argv[3], NULL, 10);
    input_file = fopen(argv[1], "rb");
    output_file = fopen(argv[2], "wb");
    if (input_file == NULL || output_file == NULL) {{
        fail("cannot open the files for", argv[0]);
    }}
    for (long sample = 0; sample < samples; sample++) {{
{read}
        run((int)(sample * 37 % 255) + 1);
{write}
    }}
    if (strtol(argv[4], NULL, 10) > 0) {{
        printf("%.9f\\n", measure(strtol(argv[4], NULL, 10)));
    }}
    if (fclose(output_file) != 0) {{
        fail("cannot write", argv[2]);
    }}
    fclose(input_file);
    return 0;
}}
"""

_READ = """\
        if (fread({buffer}, sizeof {buffer}, 1, input_file) != 1) {{
            fail("too few bytes for", "{buffer}");
        }}"""

_WRITE = """\
        if (fwrite({buffer} + GUARD, sizeof {buffer} - 2 * {guard}, 1, output_file) != 1) {{
            fail("cannot write", "{buffer}");
        }}"""


_STATE = """
static struct {{
    unsigned char before[GUARD];
    {name}_state content;
    unsigned char after[GUARD];
}} state;"""

_READ_STATES = """\
        if (sample == 0) {{
            {name}_reset(&state.content);
        }}
        if (argc == 5) {{
{statements}
        }}"""

_CHECK_STATE = """\
    check(state.before, GUARD, sizeof state.before, pattern, "state");
    check(state.after, GUARD, sizeof state.after, pattern, "state");"""


_WRITE_STATE = """\
        if (fwrite({buffer}, sizeof {buffer}, 1, output_file) != 1) {{
            fail("cannot write", "{buffer}");
        }}"""


def main_text(module: Module, name: str, *, misaligned: bool) -> str:
    """Return the C text of a program ``INPUT OUTPUT SAMPLES REPEATS [stream]``.

    It reads the inputs of each sample one after the other, states first, writes the outputs likewise, and prints the
    shortest of REPEATS processor times, in seconds, unless that is 0. In a stream samples have no states to be read:
    the first begins with those of a reset, and each hands them on.

    Args:
        module: Of the kernel.
        name: Of the kernel.
        misaligned: Whether the arena begins at an odd address.
    """
    interface = [f"input_{index}" for index in range(len(module.data_inputs))]
    inputs = list(zip(interface, (value.type for value in module.data_inputs), strict=True))
    results = [(f"output_{index}", output.value.type) for index, output in enumerate(module.data_outputs)]
    buffers = [f"static {C_TYPES[type_.dtype]} {name}[{type_.size}];" for name, type_ in inputs]
    buffers += [f"static {C_TYPES[type_.dtype]} {name}[GUARD + {type_.size} + GUARD];" for name, type_ in results]
    guards = {name: f"GUARD * sizeof({C_TYPES[type_.dtype]})" for name, type_ in results}
    checked = {**guards, "arena": "GUARD"}
    prepared = [*checked, *(("state.before", "state.after") if module.states else ())]
    arguments = [name for name, _ in inputs] + [f"{name} + GUARD" for name, _ in results]
    arguments += ["&state.content"] if module.states else []
    checks = [
        f'    check({buffer}, {guard}, sizeof {buffer}, pattern, "{buffer}");' for buffer, guard in checked.items()
    ]
    return _TEMPLATE.format(
        name=name,
        prefix=name.upper(),
        guard=GUARD,
        misalignment=int(misaligned),
        buffers="\n".join(buffers),
        state=_STATE.format(name=name) if module.states else "",
        arguments=", ".join([*arguments, "arena + GUARD + MISALIGNMENT"]),
        prepare="\n".join(f"    memset({buffer}, pattern, sizeof {buffer});" for buffer in prepared),
        check="\n".join([*checks, *((_CHECK_STATE.format(),) if module.states else ())]),
        read="\n".join([*_read_states(module, name), *(_READ.format(buffer=buffer) for buffer, _ in inputs)]),
        write="\n".join(_writes(module, guards)),
    )


def _read_states(module: Module, name: str) -> Iterator[str]:
    if module.states:
        reads = (_READ.format(buffer=f"state.content.{member.name}") for member in state_members(module))
        yield _READ_STATES.format(name=name, statements="\n".join(reads))


def _writes(module: Module, guards: Mapping[str, str]) -> Iterator[str]:
    """Yield what writes the outputs of a sample in the order that they have in the graph."""
    kept = dict(zip((state.output for state in module.states), state_members(module), strict=True))
    results = iter(guards.items())
    for output in module.graph.outputs:
        if output.name in kept:
            yield _WRITE_STATE.format(buffer=f"state.content.{kept[output.name].name}")
        else:
            buffer, guard = next(results)
            yield _WRITE.format(buffer=buffer, guard=guard)
