"""Pipelines as text."""

from __future__ import annotations

import pytest

from mrqc.errors import UsageError
from mrqc.passes import (
    PASSES,
    PIPELINES,
    RECIPES,
    STEPS,
    Symmetrize,
    describe_options,
    format_pass,
    parse_pipeline,
    pipeline_for,
)
from mrqc.targets import load_target

POW2 = load_target("pow2-npu")


@pytest.mark.parametrize("name", PIPELINES)
def test_named_pipelines_parse_and_print_back(name: str) -> None:
    passes = parse_pipeline(name, POW2)
    text = ",".join(map(format_pass, passes))
    assert text == PIPELINES[name].replace("requantize", RECIPES["default"])
    assert parse_pipeline(text, POW2) == passes


def test_options_are_read_and_printed() -> None:
    (assign, lower) = parse_pipeline(" assign-scales{method=joint} , lower-to-int ", POW2)
    assert format_pass(assign) == "assign-scales{method=joint}"
    assert format_pass(lower) == "lower-to-int"
    assert parse_pipeline(format_pass(assign), POW2) == (assign,)


@pytest.mark.parametrize("recipe", RECIPES)
def test_requantize_stands_for_the_passes_of_a_recipe(recipe: str) -> None:
    passes = parse_pipeline(f"canonicalize,requantize{{recipe={recipe} io=original}},legalize", POW2)
    assert passes[1] == Symmetrize(POW2, io="original")
    text = ",".join(map(format_pass, passes[1:-1]))
    expected = RECIPES[recipe].replace("symmetrize", "symmetrize{io=original}", 1)
    # Its labels of inputs and outputs depend on it too.
    assert text == expected.replace("align-scales", "align-scales{io=original}", 1)
    assert {type(pass_) for pass_ in passes[1:-1]} <= set(STEPS)


@pytest.mark.parametrize(
    ("own", "wanted"),
    [
        ("requantize", "requantize{recipe=fast}"),
        ("requantize{recipe=best io=original},legalize", "requantize{io=original recipe=fast},legalize"),
        ("canonicalize,lower-to-int", "canonicalize,lower-to-int"),
    ],
)
def test_a_recipe_takes_the_place_of_the_one_of_a_target(own: str, wanted: str) -> None:
    target = POW2.model_copy(update={"pipeline": own})
    assert pipeline_for(target, "fast") == wanted
    assert pipeline_for(target) == own


MISTAKES = [
    ("requantise", "no pass is called 'requantise' (did you mean requantize?)"),
    ("zzz", "there are fold-qdq, canonicalize"),
    ("requantize{oi=target}", "requantize has no option 'oi=target' (options: recipe, io)"),
    ("requantize{target=x}", "requantize has no option 'target=x' (options: recipe, io)"),
    ("requantize{io}", "requantize has no option 'io' (options: recipe, io)"),
    ("requantize{recipe=slow}", "requantize: recipe must be fast|default|best, found 'slow'"),
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
    assert describe_options(requantize) == [
        ("recipe", "fast|default|best", "default"),
        ("io", "target|original", "target"),
    ]
