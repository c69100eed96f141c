"""Pipelines as text."""

from __future__ import annotations

import pytest

from mrqc.errors import UsageError
from mrqc.passes import PASSES, PIPELINES, describe_options, format_pass, parse_pipeline
from mrqc.targets import load_target

POW2 = load_target("pow2-npu")


@pytest.mark.parametrize("name", PIPELINES)
def test_named_pipelines_parse_and_print_back(name: str) -> None:
    passes = parse_pipeline(name, POW2)
    text = ",".join(map(format_pass, passes))
    assert text == PIPELINES[name]
    assert parse_pipeline(text, POW2) == passes


def test_options_are_read_and_printed() -> None:
    (requantize, lower) = parse_pipeline(" requantize{io=original} , lower-to-int ", POW2)
    assert format_pass(requantize) == "requantize{io=original}"
    assert format_pass(lower) == "lower-to-int"
    assert parse_pipeline(format_pass(requantize), POW2) == (requantize,)


MISTAKES = [
    ("requantise", "no pass is called 'requantise' (did you mean requantize?)"),
    ("zzz", "there are fold-qdq, canonicalize"),
    ("requantize{oi=target}", "requantize has no option 'oi=target' (options: io)"),
    ("requantize{target=x}", "requantize has no option 'target=x' (options: io)"),
    ("requantize{io}", "requantize has no option 'io' (options: io)"),
    ("requantize{io=file}", "requantize: io must be target|original, found 'file'"),
    ("canonicalize{x=1}", "canonicalize has no option 'x=1' (options: none)"),
    ("canonicalize requantize", "cannot read"),
    ("requantize{io=target", "cannot read"),
    ("", "the pipeline is empty"),
]


@pytest.mark.parametrize(("text", "message"), MISTAKES, ids=[text or "empty" for text, _ in MISTAKES])
def test_a_mistake_is_explained(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_pipeline(text, POW2)
    assert message in str(caught.value)


def test_a_pass_that_needs_a_target_says_so() -> None:
    with pytest.raises(UsageError, match="legalize needs a target"):
        parse_pipeline("legalize")


def test_passes_are_unique_documented_and_named_after_their_class() -> None:
    names = [pass_.name for pass_ in PASSES]
    assert len(set(names)) == len(names)
    for pass_ in PASSES:
        assert pass_.name == "".join(f"-{c.lower()}" if c.isupper() else c for c in pass_.__name__).lstrip("-")
        assert pass_.summary
        assert pass_.exactness in ("exact", "lossy")


def test_options_are_described_for_the_command_line() -> None:
    requantize = next(pass_ for pass_ in PASSES if pass_.name == "requantize")
    assert describe_options(requantize) == [("io", "target|original", "target")]
