"""Attributes, operands, types and constants that do not fit their op, each with the whole message."""

from __future__ import annotations

import numpy as np
import pytest
from error_texts import X, cases, message_of, statement

from mrqc.ir import Data

BLOB = Data(np.arange(4, dtype=np.int8))

ATTRIBUTES = {
    "unknown": (
        statement(f"%0 = nn.clip(%x) {{clmap = [0, 1]}} : {X}"),
        """
        net.mrq:3:21: nn.clip has no attribute 'clmap' (did you mean clamp?)
          %0 = nn.clip(%x) {clmap = [0, 1]} : tensor<1x4x4x2xf32>
                            ^^^^^
        """,
    ),
    "unknown, nothing near": (
        statement(f"%0 = nn.tanh(%x) {{axis = 1}} : {X}"),
        """
        net.mrq:3:21: nn.tanh has no attribute 'axis' (it has none)
          %0 = nn.tanh(%x) {axis = 1} : tensor<1x4x4x2xf32>
                            ^^^^
        """,
    ),
    "given twice": (
        statement(f"%0 = nn.clip(%x) {{clamp = [0, 1], clamp = [0, 1]}} : {X}"),
        """
        net.mrq:3:37: attribute 'clamp' is given twice
          %0 = nn.clip(%x) {clamp = [0, 1], clamp = [0, 1]} : tensor<1x4x4x2xf32>
                                            ^^^^^
        """,
    ),
    "missing": (
        statement(f"%0 = int.max_pool2d(%x) {{kernel = [1, 1]}} : {X}"),
        """
        net.mrq:3:8: int.max_pool2d needs the attributes 'strides' and 'padding'
          %0 = int.max_pool2d(%x) {kernel = [1, 1]} : tensor<1x4x4x2xf32>
               ^^^^^^^^^^^^^^
        """,
    ),
    "wrong kind": (
        statement(f"%0 = nn.clip(%x) {{clamp = 6.0}} : {X}"),
        """
        net.mrq:3:29: attribute 'clamp' must be a list of 2 numbers, found 6.0
          %0 = nn.clip(%x) {clamp = 6.0} : tensor<1x4x4x2xf32>
                                    ^^^
        """,
    ),
    "wrong length": (
        statement(f"%0 = nn.clip(%x) {{clamp = [0, 1, 2]}} : {X}"),
        """
        net.mrq:3:29: attribute 'clamp' must be a list of 2 numbers, found [0, 1, 2]
          %0 = nn.clip(%x) {clamp = [0, 1, 2]} : tensor<1x4x4x2xf32>
                                    ^^^^^^^^^
        """,
    ),
    "wrong item": (
        statement(f'%0 = nn.clip(%x) {{clamp = [0, "6"]}} : {X}'),
        """
        net.mrq:3:33: in attribute 'clamp', expected a number, found "6"
          %0 = nn.clip(%x) {clamp = [0, "6"]} : tensor<1x4x4x2xf32>
                                        ^^^
        """,
    ),
    "float for an integer": (
        statement(f"%0 = nn.transpose(%x) {{permutation = [0, 1.0, 2, 3]}} : {X}"),
        """
        net.mrq:3:44: in attribute 'permutation', expected an integer, found 1.0
          %0 = nn.transpose(%x) {permutation = [0, 1.0, 2, 3]} : tensor<1x4x4x2xf32>
                                                   ^^^
        """,
    ),
    "enumeration, union, bool": (
        statement("%0 = test.everything(%x) {mode = half_up, maximum = 1.5, flag = 1, shape = []} : tensor<f32>"),
        """
        net.mrq:3:36: attribute 'mode' must be one of plain, half-up, "inf", "none", "two \\"words\\"", found half_up
          %0 = test.everything(%x) {mode = half_up, maximum = 1.5, flag = 1, shape = []} : tensor<f32>
                                           ^^^^^^^
        net.mrq:3:55: attribute 'maximum' must be an integer or none, found 1.5
          %0 = test.everything(%x) {mode = half_up, maximum = 1.5, flag = 1, shape = []} : tensor<f32>
                                                              ^^^
        net.mrq:3:67: attribute 'flag' must be true or false, found 1
          %0 = test.everything(%x) {mode = half_up, maximum = 1.5, flag = 1, shape = []} : tensor<f32>
                                                                          ^
        """,
    ),
    "record": (
        statement("%0 = test.everything(%x) {limits = {lwo = 0.0, high = plain}, shape = []} : tensor<f32>"),
        """
        net.mrq:3:39: the record has no field 'lwo' (did you mean low?)
          %0 = test.everything(%x) {limits = {lwo = 0.0, high = plain}, shape = []} : tensor<f32>
                                              ^^^
        """,
    ),
    "field of a record": (
        statement("%0 = test.everything(%x) {limits = {low = plain}, shape = []} : tensor<f32>"),
        """
        net.mrq:3:45: attribute 'low' must be a number, found plain
          %0 = test.everything(%x) {limits = {low = plain}, shape = []} : tensor<f32>
                                                    ^^^^^
        """,
    ),
    "missing field of a record": (
        statement("%0 = test.everything(%x) {limits = {high = 2.0}, shape = []} : tensor<f32>"),
        """
        net.mrq:3:38: the record needs 'low'
          %0 = test.everything(%x) {limits = {high = 2.0}, shape = []} : tensor<f32>
                                             ^^^^^^^^^^^^
        """,
    ),
    "bits of another width": (
        statement("%0 = test.everything(%x) {ratio = 0x7fc00001, shape = []} : tensor<f32>"),
        """
        net.mrq:3:37: attribute 'ratio' must be a number, found 0x7fc00001
          %0 = test.everything(%x) {ratio = 0x7fc00001, shape = []} : tensor<f32>
                                            ^^^^^^^^^^
        """,
    ),
}

OPERANDS_AND_TYPES = {
    "too many operands": (
        statement(f"%0 = nn.clip(%x, %x) : {X}"),
        """
        net.mrq:3:8: nn.clip takes 1 operand (input), found 2
          %0 = nn.clip(%x, %x) : tensor<1x4x4x2xf32>
               ^^^^^^^
        """,
    ),
    "too few operands": (
        statement(f"%0 = nn.conv2d(%x) : {X}\n  %1 = test.everything() {{shape = []}} : tensor<f32>"),
        """
        net.mrq:3:8: nn.conv2d takes 2 to 3 operands (input, weight, bias), found 1
          %0 = nn.conv2d(%x) : tensor<1x4x4x2xf32>
               ^^^^^^^^^
        net.mrq:4:8: test.everything takes at least 1 operand (first, second, third, others…), found 0
          %1 = test.everything() {shape = []} : tensor<f32>
               ^^^^^^^^^^^^^^^
        """,
    ),
    "none where a value must be": (
        statement(
            f"%0 = nn.add(%x, none) : {X}\n  %1 = test.everything(%x, none, none, none) {{shape = []}} : tensor<f32>"
        ),
        """
        net.mrq:3:19: this operand cannot be none
          %0 = nn.add(%x, none) : tensor<1x4x4x2xf32>
                          ^^^^
        net.mrq:4:40: this operand cannot be none
          %1 = test.everything(%x, none, none, none) {shape = []} : tensor<f32>
                                               ^^^^
        """,
    ),
    "rules of the op": (
        statement("%0 = nn.reshape(%x) {shape = [2, 2, 9]} : tensor<2x2x9xf32>"),
        """
        net.mrq:3:8: 32 elements cannot take shape [2, 2, 9]
          %0 = nn.reshape(%x) {shape = [2, 2, 9]} : tensor<2x2x9xf32>
               ^^^^^^^^^^
        """,
    ),
    "several rules of an op": (
        "module @m {\n  inputs (%x : tensor<1x2x3xf32>)\n"
        '  %a, %b = test.split(%x) : tensor<1x2x3xf32>, tensor<1x2x3xf32>\n  return (%a as "y")\n}\n',
        """
        net.mrq:3:12: rank 3 cannot be split
          %a, %b = test.split(%x) : tensor<1x2x3xf32>, tensor<1x2x3xf32>
                   ^^^^^^^^^^
        net.mrq:3:12: rank 3 is odd
          %a, %b = test.split(%x) : tensor<1x2x3xf32>, tensor<1x2x3xf32>
                   ^^^^^^^^^^
        """,
    ),
    "result type": (
        statement("%0 = nn.clip(%x) : tensor<1x4x4x3xf32>"),
        """
        net.mrq:3:22: %0 is declared as tensor<1x4x4x3xf32>, but nn.clip gives tensor<1x4x4x2xf32>
          %0 = nn.clip(%x) : tensor<1x4x4x3xf32>
                             ^^^^^^^^^^^^^^^^^^^
        """,
    ),
    "result type, the difference among many scales": (
        "module @m {\n  inputs (%x : tensor<12x!quant.uniform<i8:f32:0, {" + ", ".join(["1.0"] * 12) + "}>>)\n"
        "  %0 = int.transpose(%x) {permutation = [0]} : tensor<12x!quant.uniform<i8:f32:0, {"
        + ", ".join(["1.0"] * 11)
        + ', 2.0}>>\n  return (%0 as "y")\n}\n',
        """
        net.mrq:3:48: %0 has other scales or zero points than int.transpose gives
          %0 = int.transpose(%x) {permutation = [0]} : tensor<12x!quant.uniform<i8:f32:0, {1.0, 1.0, 1.0, 1.…
                                                       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
        """,
    ),
    "number of results": (
        statement(f"%0, %1 = nn.clip(%x) : {X}, {X}\n  %2 = test.split(%x) : {X}\n  %3, %4 = test.split(%x) : {X}"),
        """
        net.mrq:4:8: test.split has 2 results, found 1
          %2 = test.split(%x) : tensor<1x4x4x2xf32>
               ^^^^^^^^^^
        net.mrq:5:12: 2 results but 1 type
          %3, %4 = test.split(%x) : tensor<1x4x4x2xf32>
                   ^^^^^^^^^^
        """,
    ),
    "results the op does not have": (
        statement(f"%0, %1 = nn.clip(%x) : {X}, {X}"),
        """
        net.mrq:3:12: nn.clip has 1 result, found 2
          %0, %1 = nn.clip(%x) : tensor<1x4x4x2xf32>, tensor<1x4x4x2xf32>
                   ^^^^^^^
        """,
    ),
    "element type": (
        statement("%0 = nn.clip(%x) : tensor<4xi7>"),
        """
        net.mrq:3:31: there is no element type i7 (there are i8, u8, i16, i32, i64, f32)
          %0 = nn.clip(%x) : tensor<4xi7>
                                      ^^
        """,
    ),
    "zero extent": (
        statement("%0 = nn.clip(%x) : tensor<4x0xi8>"),
        """
        net.mrq:3:22: every extent of a shape must be at least 1, found [4, 0]
          %0 = nn.clip(%x) : tensor<4x0xi8>
                             ^^^^^^^^^^^^^^
        """,
    ),
    "scales": (
        statement("%0 = nn.clip(%x) : tensor<2x!quant.uniform<i8:f32:0, {0.1, 0.2, 0.3}>>"),
        """
        net.mrq:3:22: axis 0 has 2 entries but there are 3 scales
          %0 = nn.clip(%x) : tensor<2x!quant.uniform<i8:f32:0, {0.1, 0.2, 0.3}>>
                             ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
        """,
    ),
    "zero point": (
        statement("%0 = nn.clip(%x) : tensor<2x!quant.uniform<i8:f32, 0.1:0.5>>"),
        """
        net.mrq:3:58: expected an integer, found 0.5
          %0 = nn.clip(%x) : tensor<2x!quant.uniform<i8:f32, 0.1:0.5>>
                                                                 ^^^
        """,
    ),
    "expressed type": (
        statement("%0 = nn.clip(%x) : tensor<2x!quant.uniform<i8:f16, 0.1>>"),
        """
        net.mrq:3:49: a quantized element stands for f32, found f16
          %0 = nn.clip(%x) : tensor<2x!quant.uniform<i8:f16, 0.1>>
                                                        ^^^
        """,
    ),
}

CONSTANTS = {
    "elided constant": (
        statement("%0 = nn.constant() {value = blob<elided>} : tensor<20xi8>"),
        """
        net.mrq:3:31: this was elided when the text was printed (print the module in full to read it back)
          %0 = nn.constant() {value = blob<elided>} : tensor<20xi8>
                                      ^^^^^^^^^^^^
        """,
    ),
    "elided scales": (
        statement("%0 = nn.clip(%x) : tensor<9x!quant.uniform<i8:f32:0, {0.1, 0.2:3, ...}>>"),
        """
        net.mrq:3:69: this was elided when the text was printed (print the module in full to read it back)
          %0 = nn.clip(%x) : tensor<9x!quant.uniform<i8:f32:0, {0.1, 0.2:3, ...}>>
                                                                            ^^^
        """,
    ),
    "elided list": (
        statement("%0 = nn.reshape(%x) {shape = [1, 2, ...]} : tensor<9xi8>"),
        """
        net.mrq:3:39: this was elided when the text was printed (print the module in full to read it back)
          %0 = nn.reshape(%x) {shape = [1, 2, ...]} : tensor<9xi8>
                                              ^^^
        """,
    ),
    "missing blob": (
        statement('%0 = nn.constant() {value = blob<"00">} : tensor<20xi8>'),
        """
        net.mrq:3:36: there is no such blob at the end of the text
          %0 = nn.constant() {value = blob<"00">} : tensor<20xi8>
                                           ^^^^
        """,
    ),
    "blob of another length": (
        statement('%0 = nn.constant() {value = blob<"00">} : tensor<20xi8>') + 'blobs {\n  "00" = "AAAA"\n}\n',
        """
        net.mrq:7:3: this blob has 3 bytes, [20] of i8 are 20
          "00" = "AAAA"
          ^^^^
        """,
    ),
    "blob that is not base64": (
        statement('%0 = nn.constant() {value = blob<"00">} : tensor<20xi8>') + 'blobs {\n  "00" = "A"\n}\n',
        """
        net.mrq:7:10: this is not base64
          "00" = "A"
                 ^^^
        """,
    ),
    "blob with another hash": (
        statement('%0 = nn.constant() {value = blob<"00">} : tensor<4xi8>') + 'blobs {\n  "00" = "AAECAw=="\n}\n',
        f"""
        net.mrq:7:3: this blob's content, as [4] of i8, has another hash: {BLOB.digest} (content or type was changed)
          "00" = "AAECAw=="
          ^^^^
        """,
    ),
    "blob given twice": (
        statement("") + 'blobs {\n  "00" = "AAAA"\n  "00" = "AAAA"\n}\n',
        """
        net.mrq:8:3: there are two blobs with this hash
          "00" = "AAAA"
          ^^^^
        """,
    ),
    "number of elements": (
        statement("%0 = nn.constant() {value = dense<[1]>} : tensor<2xi8>"),
        """
        net.mrq:3:37: 1 element is given, the type's shape [2] has 2
          %0 = nn.constant() {value = dense<[1]>} : tensor<2xi8>
                                            ^^^
        """,
    ),
    "element out of range": (
        statement("%0 = nn.constant() {value = dense<[1, 200]>} : tensor<2xi8>"),
        """
        net.mrq:3:37: values from 1 to 200 do not fit i8
          %0 = nn.constant() {value = dense<[1, 200]>} : tensor<2xi8>
                                            ^^^^^^^^
        """,
    ),
    "element that is no integer": (
        statement("%0 = nn.constant() {value = dense<[1, 2.5]>} : tensor<2xi8>"),
        """
        net.mrq:3:41: expected an integer, found 2.5
          %0 = nn.constant() {value = dense<[1, 2.5]>} : tensor<2xi8>
                                                ^^^
        """,
    ),
    "element that is no number": (
        statement("%0 = nn.constant() {value = dense<[1, true]>} : tensor<2xi8>"),
        """
        net.mrq:3:41: an element of a constant is a number
          %0 = nn.constant() {value = dense<[1, true]>} : tensor<2xi8>
                                                ^^^^
        """,
    ),
    "element too large for f32": (
        statement("%0 = nn.constant() {value = dense<[1e39]>} : tensor<1xf32>"),
        """
        net.mrq:3:37: a number is too large for f32
          %0 = nn.constant() {value = dense<[1e39]>} : tensor<1xf32>
                                            ^^^^^^
        """,
    ),
    "data of another type than the result": (
        statement("%0 = nn.constant() {value = dense<[1]> : tensor<1xi8>} : tensor<1xi16>"),
        """
        net.mrq:3:8: the data is i8, the type says i16
          %0 = nn.constant() {value = dense<[1]> : tensor<1xi8>} : tensor<1xi16>
               ^^^^^^^^^^^
        """,
    ),
}


@pytest.mark.parametrize(("text", "expected"), cases(ATTRIBUTES, OPERANDS_AND_TYPES, CONSTANTS))
def test_message(text, expected):
    assert message_of(text) == expected
