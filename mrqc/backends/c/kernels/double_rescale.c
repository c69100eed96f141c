/* double_rescale: output[row][i] = clamp(round(input[row][i] * scales[i]) + zero_point, minimum, maximum).
 *
 * The product is what double precision makes of it: the exact one, of up to 84 bits, rounded to 53 bits, half to even.
 * It is then rounded to an integer, half away from zero. All of it in integers. */
#include <stdint.h>

#include "code_range.h"
#include "double_scale.h"
#include "slots/input.h"
#include "slots/output.h"

/* round(magnitude * scale), or 2^40 for all that is too large for any code. */
static inline int64_t double_product(int64_t magnitude, const struct double_scale *scale)
{
    const int64_t low_product = magnitude * scale->low;
    /* The product is upper * 2^31 + lower. */
    const int64_t upper = magnitude * scale->high + (low_product >> 31);
    const int64_t lower = low_product & 0x7fffffff;
    int32_t dropped = 0;
    int64_t kept;
    int64_t rest;
    int64_t half;
    int32_t shift;
    if (magnitude == 0) {
        return 0;
    }
    while ((upper >> dropped) >= (int64_t)1 << 22) {
        dropped++;
    }
    kept = upper * ((int64_t)1 << (31 - dropped)) + (lower >> dropped);
    rest = lower & (((int64_t)1 << dropped) - 1);
    half = ((int64_t)1 << dropped) >> 1;
    if (dropped > 0 && (rest > half || (rest == half && (kept & 1) != 0))) {
        kept++;
    }
    shift = scale->shift - dropped;
    if (shift <= 0) {
        return (int64_t)1 << 40;
    }
    shift = shift < 60 ? shift : 60;
    return (kept + ((int64_t)1 << (shift - 1))) >> shift;
}

void double_rescale(const input_t *input, int32_t rows, int32_t channels, const struct double_scale *scales,
                    const struct code_range *range, output_t *output)
{
    for (int32_t row = 0; row < rows; row++) {
        for (int32_t i = 0; i < channels; i++) {
            const int64_t sum = load_input(input + i);
            const int64_t rounded = double_product(sum < 0 ? -sum : sum, scales + i);
            const int64_t code = (sum < 0 ? -rounded : rounded) + range->zero_point;
            const int64_t raised = code < range->minimum ? range->minimum : code;
            store_output(output + i, (int32_t)(raised > range->maximum ? range->maximum : raised));
        }
        input += channels;
        output += channels;
    }
}
