"""Target files: what loads, and what each mistake is told."""

from importlib import resources
from pathlib import Path

import pytest

from mrqc.errors import InputError
from mrqc.ir import DType, Element
from mrqc.numerics import FixedPoint, Rounding
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
    ('dtype = "i8"', 'dtype = "i4"', "activation.dtype: must be 'i8', 'u8', 'i16' or 'any', found 'i4'"),
    ('dtype = "i8"', 'dtype = "u8"', "activation.symmetric: must be false for u8; 'unsigned' beside i8"),
    (
        'dtype = "i8"\nsymmetric = true',
        'dtype = "i16"\nsymmetric = false',
        "activation.symmetric: must be true for i16",
    ),
    ('dtype = "i8"', 'dtype = "i16"\nunsigned = true', "activation.unsigned: only beside symmetric i8"),
    (
        'symmetric = true\nrange = "full"',
        'symmetric = false\nrange = "restricted"',
        "activation.range: must be 'full' where zero points are free",
    ),
    ('scale = "any"', 'scale = "octaves"', "activation.scale: must be 'any' or 'power-of-two', found 'octaves'"),
    ('[weight]\ndtype = "i8"', '[weight]\ndtype = "u8"', "weight.symmetric: must be false for u8"),
    (
        'symmetric = true\nrange = "restricted"\n',
        'symmetric = false\nrange = "restricted"\n',
        "weight.range: must be 'full' where there is a zero point",
    ),
    (
        'symmetric = true\nrange = "restricted"\ngranularity = "per-tensor"',
        'symmetric = false\nrange = "full"\ngranularity = "per-channel"',
        "weight.granularity: must be 'per-tensor' where there is a zero point",
    ),
    ("[bias]", "[bias]\nbits = 33", "bias.bits: 33 is wider than i32 (bias.dtype)"),
    ("[bias]", "[bias]\nshift = [1, 15]", "bias.shift: must be [least, greatest] around 0"),
    ("[bias]", "[bias]\nshift_budget = 24", "bias.shift_budget: goes with bias.shift"),
    ("[ops]", '[ops]\n"int.sum" = { on = "host", shift = [3, 2] }', "ops.int.sum.shift: must be [least, greatest]"),
    (
        '"int.average_pool2d" = { on = "accelerator" }',
        '"int.average_pool2d" = { on = "accelerator", reciprocals = { 3x = [7, 6] } }',
        "ops.int.average_pool2d.reciprocals: '3x' is no kernel",
    ),
    (
        '"int.average_pool2d" = { on = "accelerator" }',
        '"int.average_pool2d" = { on = "accelerator", reciprocals = { 3x3 = [7, 8] } }',
        "ops.int.average_pool2d.reciprocals: 7 / 2^8 is not near 1/9",
    ),
    (
        'range = "restricted"',
        'range = "restricted"\nper_tensor_ops = ["int.dense"]',
        "weight.per_tensor_ops: int.dense: no such integer op",
    ),
    ("[activation]", 'extends = "pow3-npu"\n[activation]', "extends: must be one of pow2-npu, "),
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
        ("zzz", "there are pow2-npu, .*, sym-npu, .*, tflite, tflite-single-rounding, onnxruntime, or a .toml file"),
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


def test_a_file_may_extend_a_builtin_target() -> None:
    header = 'name = "mine"\ndescription = "mine"\nextends = "pow2-npu"\n'
    text = header + '[weight]\nrange = "full"\n[ops]\n"int.add" = { on = "host" }'
    target, base = parse_target(text, "mine.toml"), load_target("pow2-npu")
    assert (target.weight.minimum, base.weight.minimum) == (-128, -127)
    assert (target.ops["int.add"].on, base.ops["int.add"].on) == ("host", "accelerator")
    assert target.ops.keys() == base.ops.keys()
    assert target.activation == base.activation
    with pytest.raises(InputError, match="description: this key is missing"):
        parse_target('name = "mine"\nextends = "pow2-npu"', "mine.toml")


@pytest.mark.parametrize(
    ("name", "non_negative", "dtype", "codes"),
    [
        ("sym-npu", True, DType.I8, (-128, 127)),
        ("sym-npu-unsigned", True, DType.U8, (0, 255)),
        ("pow2-npu-unsigned", False, DType.I8, (-128, 127)),
        ("pow2-npu-restricted", True, DType.I8, (-127, 127)),
        ("sym-npu-i16", False, DType.I16, (-32768, 32767)),
        ("asym-npu-u8", True, DType.U8, (0, 255)),
        ("asym-npu-i8", True, DType.I8, (-128, 127)),
    ],
)
def test_a_target_says_how_an_activation_is_stored(
    name: str, non_negative: bool, dtype: DType, codes: tuple[int, int]
) -> None:
    activation = load_target(name).activation
    assert activation.storage_for(non_negative) is dtype
    assert activation.code_range(dtype) == codes


def test_some_ops_have_one_weight_scale_where_others_have_one_for_each_channel() -> None:
    weight = load_target("esp32-p4").weight
    for dialect in ("nn", "int"):
        assert weight.is_per_channel_for(f"{dialect}.conv2d")
        assert not weight.is_per_channel_for(f"{dialect}.fully_connected")
    assert not load_target("esp32-s3").weight.is_per_channel_for("nn.conv2d")


@pytest.mark.parametrize(
    ("kernel", "multiplier", "shift"), [((3, 3), 7, 6), ((7, 7), 21, 10), ((2, 4), 1, 3), ((1, 3), 85, 8)]
)
def test_the_dpu_multiplies_where_others_divide(kernel: tuple[int, int], multiplier: int, shift: int) -> None:
    support = load_target("xint8").ops["int.average_pool2d"]
    assert support.reciprocal(kernel) == FixedPoint(multiplier, shift)


def test_a_bias_is_shifted_within_what_the_shift_of_the_layer_leaves() -> None:
    bias = load_target("xint8").bias
    assert [bias.least_shift(cut) for cut in (0, 3, 16)] == [-16, -13, 0]


@pytest.mark.parametrize(
    ("name", "element"),
    [
        ("sym-npu", Element.per_tensor(DType.I8, 2.0**-7)),
        ("pow2-npu-unsigned", Element.per_tensor(DType.U8, 2.0**-8)),
        ("sym-npu-i16", Element.per_tensor(DType.I16, 2.0**-15)),
        ("asym-npu-i8", Element.per_tensor(DType.I8, 2.0**-8, -128)),
        ("asym-npu-u8", Element.per_tensor(DType.U8, 2.0**-8)),
    ],
)
def test_probabilities_use_the_codes_that_there_are(name: str, element: Element) -> None:
    assert load_target(name).activation.probabilities == element


@pytest.mark.parametrize(("name", "zero_point"), [("sym-npu", 0), ("esp32-s3", 0), ("asym-npu-u8", 128)])
def test_weights_have_a_zero_point_in_the_middle(name: str, zero_point: int) -> None:
    assert load_target(name).weight.zero_point == zero_point
