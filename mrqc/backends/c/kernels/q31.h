/* Fixed-point numbers with 31 fractional bits: products rounded half up, left shifts that saturate. */
#ifndef MRQC_Q31_H
#define MRQC_Q31_H

#include <stdint.h>

static inline int32_t multiply_q31(int32_t first, int32_t second)
{
    const int64_t product = (int64_t)first * second + ((int64_t)1 << 30);
    return (int32_t)(product < 0 ? ~(~product >> 31) : product >> 31);
}

static inline int32_t shift_left_saturating(int32_t value, int32_t bits)
{
    const int64_t wide = (int64_t)value * ((int64_t)1 << bits);
    const int64_t raised = wide < INT32_MIN ? INT32_MIN : wide;
    return (int32_t)(raised > INT32_MAX ? INT32_MAX : raised);
}

/* value / 2^bits to the nearest integer, ties away from zero; bits up to 62. */
static inline int32_t divide_rounding(int32_t value, int32_t bits)
{
    const int64_t half = (int64_t)(((uint64_t)1 << bits) >> 1);
    const int64_t magnitude = value < 0 ? -(int64_t)value : value;
    const int32_t rounded = (int32_t)((magnitude + half) >> bits);
    return value < 0 ? -rounded : rounded;
}

/* 1 / (1 + value) for a value from 0 to 1, by three Newton steps from 48/17 - 32/17 * x; x has two integer bits. */
static inline int32_t reciprocal_of_one_plus(int32_t value)
{
    const int32_t half_denominator = (int32_t)(((int64_t)value + INT32_MAX + 1) >> 1);
    int32_t x = 1515870810 + multiply_q31(half_denominator, -1010580540);
    for (int32_t step = 0; step < 3; step++) {
        const int32_t error = ((int32_t)1 << 29) - multiply_q31(half_denominator, x);
        x += shift_left_saturating(multiply_q31(x, error), 2);
    }
    return shift_left_saturating(x, 1);
}

#endif
