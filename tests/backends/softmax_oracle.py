"""What the softmaxes of ``int.*`` mean, in Python integers and loops, straight from their docstrings."""

from fractions import Fraction

import numpy as np
from exact_rounding import divided, rounded

from mrqc.numerics import Rounding
from mrqc.ops import int as ops

Array = np.ndarray
"""Of dtype object: Python integers."""


def q31_product(first: int, second: int) -> int:
    return rounded(Fraction(first * second, 2**31), Rounding.HALF_UP)


def reciprocal_of_one_plus(value: int) -> int:
    half_denominator = (value + 2**31) // 2
    x = 1515870810 + q31_product(half_denominator, -1010580540)
    for _ in range(3):
        x += 4 * q31_product(x, 2**29 - q31_product(half_denominator, x))
    return min(2 * x, 2**31 - 1)


def logarithm_q5(value: int) -> int:
    """Return log(value) in Q5.26 for a value in Q12.19, as the docstring of the kernel's numerics has it."""

    def saturated(number: int) -> int:
        return min(max(number, -(2**31)), 2**31 - 1)

    zeros = 32 - value.bit_length()
    first = saturated(2 * q31_product(saturated(value << (zeros - 1)), 1518500250))
    headroom = 31 - q31_product(value, 1518500250).bit_length()
    second = saturated(value << headroom)
    power = max((12 - zeros) * 2**25 + 2**23, (12 - headroom) * 2**25 - 2**23)
    r = min(first, second)
    p, q = (r + 1805811301 + 1) // 2, 2 * (r - 1805811301)
    square = q31_product(q, q)
    numerator = q31_product(q, r) + q31_product(q31_product(q, square), 117049297)
    denominator = q31_product(p, 1057819769 + q + q31_product(square, 127690142)) + q31_product(q, 638450708)
    scaled = rounded(Fraction(numerator, 64), Rounding.HALF_AWAY)
    fraction = q31_product(scaled, reciprocal_of_one_plus(denominator))
    return saturated(2 * (q31_product(power, 1488522236) + fraction))


def softmax(op: ops.Softmax, codes: Array, table: Array) -> Array:
    result = np.empty(codes.shape, object)
    for index in np.ndindex(*codes.shape[:-1]):
        row = list(codes[index])
        exponentials = [table[max(row) - code] for code in row]
        total = sum(exponentials)
        for position, exponential in enumerate(exponentials):
            code = (exponential * op.one + total // 2) // total + op.zero_point
            result[(*index, position)] = min(max(code, op.minimum), op.maximum)
    return result


def reciprocal_softmax(op: ops.ReciprocalSoftmax, codes: Array, table: Array) -> Array:
    dtype = op.element.dtype
    result = np.empty(codes.shape, object)
    for index in np.ndindex(*codes.shape[:-1]):
        row = list(codes[index])
        exponentials = [table[max(row) - code] for code in row]
        total = sum((exponential + 2**11) >> 12 for exponential in exponentials)
        position = total.bit_length() - 1
        reciprocal = reciprocal_of_one_plus((total << (31 - position)) - 2**31)
        for place, exponential in enumerate(exponentials):
            share = q31_product(exponential, reciprocal)
            code = rounded(Fraction(share, 2 ** (position + 12 - 8 * dtype.bytes)), Rounding.HALF_AWAY)
            result[(*index, place)] = min(code + dtype.minimum, dtype.maximum)
    return result


def log_softmax(op: ops.LogSoftmax, codes: Array, differences: Array, exponentials: Array) -> Array:
    dtype = op.element.dtype
    result = np.empty(codes.shape, object)
    for index in np.ndindex(*codes.shape[:-1]):
        distances = [max(codes[index]) - code for code in codes[index]]
        logarithm = logarithm_q5(sum((exponentials[distance] + 2**11) >> 12 for distance in distances))
        farthest = divided((logarithm - 2**31) * op.multiplier, op.shift, op.rounding)
        for place, distance in enumerate(distances):
            code = rounded(Fraction(differences[distance] - logarithm, 2**22), Rounding.HALF_AWAY) + dtype.maximum
            is_near = -distance > max(farthest, -op.radius - 1)
            result[(*index, place)] = min(max(code, dtype.minimum), dtype.maximum) if is_near else dtype.minimum
    return result


def interpolated(table: Array, place: int) -> int:
    place = min(max(place, -(2**15)), 2**15 - 1) + 2**15
    base, rest = table[place // 128], place % 128
    return base + ((table[place // 128 + 1] - base) * rest + 64) // 128


def interpolated_softmax(op: ops.InterpolatedSoftmax, codes: Array, exponentials: Array, shares: Array) -> Array:
    result = np.empty(codes.shape, object)
    for index in np.ndindex(*codes.shape[:-1]):
        row = list(codes[index])
        places = [divided((code - max(row)) * op.multiplier, op.shift, op.rounding) + 2**15 - 1 for code in row]
        powers = [interpolated(exponentials, place) for place in places]
        position = sum(powers).bit_length() - 1
        fraction = rounded(Fraction(sum(powers) << 16, 1 << position), Rounding.HALF_UP) - 2**15 - 2**16
        share = interpolated(shares, fraction)
        for place, power in enumerate(powers):
            result[(*index, place)] = min(rounded(Fraction(power * share, 1 << position), Rounding.HALF_UP), 2**15 - 1)
    return result
