"""Target files: what loads, and what each mistake is told."""

from importlib import resources
from pathlib import Path

import pytest

from mrqc.errors import InputError
from mrqc.numerics import Rounding
from mrqc.targets import BUILTIN_TARGETS, load_target, parse_target

POW2 = (resources.files("mrqc.targets") / "pow2-npu.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", BUILTIN_TARGETS)
def test_builtin_targets_load_under_their_own_name(name: str) -> None:
    assert load_target(name).name == name


def test_the_two_builtin_targets_differ_only_in_the_multiplier() -> None:
    pow2, sym = load_target("pow2-npu"), load_target("sym-npu")
    assert pow2.requantize.only_shifts
    assert not sym.requantize.only_shifts
    assert sym.requantize.bits == 31
    assert sym.requantize.rounding is Rounding.HALF_UP
    assert (pow2.activation, pow2.weight, pow2.accumulator, pow2.ops) == (
        sym.activation,
        sym.weight,
        sym.accumulator,
        sym.ops,
    )


def test_a_user_file_loads(tmp_path: Path) -> None:
    path = tmp_path / "my-npu.toml"
    path.write_text(POW2.replace('name = "pow2-npu"', 'name = "my-npu"'))
    assert load_target(str(path)).name == "my-npu"
    assert load_target(path).requantize.only_shifts


MISTAKES = [
    ("symmetric = true", "symetric = true", "activation.symetric: unknown key (did you mean 'symmetric'?)"),
    ("symmetric = true", "symmetric = false", "activation.symmetric: must be true, found false"),
    ('dtype = "i8"', 'dtype = "u8"', "activation.dtype: must be 'i8' or 'any', found 'u8'"),
    ("shift = [0, 31]", "shift = [31, 0]", "requantize.shift: must be [least, greatest] within 0..62"),
    ("shift = [0, 31]", "shift = [0]", "requantize.shift"),
    ("shift = [0, 31]", "shift = [0, 31]\nbits = 31", "requantize.bits: a power-of-two multiplier has none"),
    (
        'multiplier = "power-of-two"',
        'multiplier = "fixed-point"',
        "requantize.bits: a fixed-point multiplier needs",
    ),
    ('rounding = "half-up"', 'rounding = "up"', "requantize.rounding: must be one of half-up, half-even"),
    ("bits = 32", "bits = 20", "bias.bits: 32 is wider than the accumulator's 20 bits"),
    ('"int.add"', '"int.addd"', "ops.int.addd: no such integer op"),
    ('"int.add" = { on', '"int.add" = { onn', "ops.int.add.onn: unknown key (did you mean 'on'?)"),
    ("[bias]", "[bais]", "bais: unknown key (did you mean 'bias'?)"),
    (
        "[accumulator]\nbits = 32",
        "[accumulator]\nbits = 99",
        "accumulator.bits: input should be less than or equal to",
    ),
    ('name = "pow2-npu"', 'name = ""', "name: string should match pattern"),
    ('name = "pow2-npu"', "name = ", "not a TOML file"),
]


@pytest.mark.parametrize(("old", "new", "message"), MISTAKES, ids=[new[:30] for _, new, _ in MISTAKES])
def test_a_mistake_is_named_by_its_key(old: str, new: str, message: str) -> None:
    assert old in POW2
    with pytest.raises(InputError) as caught:
        parse_target(POW2.replace(old, new, 1), "my.toml")
    assert str(caught.value).startswith("my.toml: ")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("pow2npu", "did you mean pow2-npu?"),
        ("zzz", "there are pow2-npu, sym-npu, tflite, tflite-single-rounding, onnxruntime, or a .toml file"),
        ("./absent.toml", "cannot be read: No such file"),
    ],
)
def test_an_unknown_target_says_what_is_possible(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_target(name)


def test_a_file_that_is_not_text_is_an_input_error(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_bytes(b'name = "\xff"')
    with pytest.raises(InputError, match="not UTF-8"):
        load_target(path)
    with pytest.raises(InputError, match="Is a directory"):
        load_target(tmp_path)
