/* log_softmax: along rows, in fixed point, by tables of the scaled distances (Q5.26) and their exponentials (Q0.31).
 *
 * With m the greatest code of a row, d[i] = m - input[i] and L the logarithm of the sum of exponentials[d[i]]:
 *   output[i] = clamp(round((differences[d[i]] - L) / 2^22) + greatest), the least code where d[i] is too great. */
#include <stdint.h>

#include "log_softmax_shape.h"
#include "q31.h"
#include "slots/input.h"
#include "slots/output.h"
#include "slots/round_64.h"

static inline int32_t leading_zeros(int32_t value)
{
    int32_t zeros = 0;
    while (zeros < 32 && ((uint32_t)value >> (31 - zeros)) == 0) {
        zeros++;
    }
    return zeros;
}

/* log(value) in Q5.26 for a value from 1 up in Q12.19: it is normalised in two ways, an octave and half an octave wide,
 * of which one is near 2^-1/4; from there on a rational function. */
static inline int32_t logarithm_q5(int32_t value)
{
    const int32_t root_of_half = 1518500250;
    const int32_t fourth_root_of_half = 1805811301;
    const int32_t quarter = (int32_t)1 << 23;
    const int32_t zeros = leading_zeros(value);
    const int32_t first =
        shift_left_saturating(multiply_q31(shift_left_saturating(value, zeros - 1), root_of_half), 1);
    const int32_t first_power = shift_left_saturating(12 - zeros, 25) + quarter;
    const int32_t headroom = leading_zeros(multiply_q31(value, root_of_half)) - 1;
    const int32_t second = shift_left_saturating(value, headroom);
    const int32_t second_power = shift_left_saturating(12 - headroom, 25) - quarter;
    const int32_t r = first < second ? first : second;
    const int32_t power = first_power > second_power ? first_power : second_power;
    const int32_t p = (int32_t)(((int64_t)r + fourth_root_of_half + 1) >> 1);
    const int32_t q = 2 * (r - fourth_root_of_half);
    const int32_t square = multiply_q31(q, q);
    const int32_t numerator = multiply_q31(q, r) + multiply_q31(multiply_q31(q, square), 117049297);
    const int32_t denominator = multiply_q31(p, 1057819769 + q + multiply_q31(square, 127690142)) +
                                multiply_q31(q, 638450708);
    const int32_t fraction = multiply_q31(divide_rounding(numerator, 6), reciprocal_of_one_plus(denominator));
    return shift_left_saturating(multiply_q31(power, 1488522236) + fraction, 1);
}

void log_softmax(const input_t *input, const int32_t *differences, const int32_t *exponentials,
                 const struct log_softmax_shape *shape, output_t *output)
{
    const int32_t depth = shape->depth;
    for (int32_t row = 0; row < shape->rows; row++) {
        int32_t greatest = load_input(input);
        int32_t sum = 0;
        for (int32_t i = 1; i < depth; i++) {
            const int32_t code = load_input(input + i);
            greatest = code > greatest ? code : greatest;
        }
        for (int32_t i = 0; i < depth; i++) {
            sum += divide_rounding(exponentials[greatest - load_input(input + i)], 12);
        }
        const int32_t logarithm = logarithm_q5(sum);
        const int64_t wide = ((int64_t)logarithm - ((int64_t)1 << 31)) * shape->multiplier;
        const int64_t farthest = round_64(wide, shape->shift);
        for (int32_t i = 0; i < depth; i++) {
            const int32_t distance = greatest - load_input(input + i);
            const int32_t is_near = distance <= shape->radius && -distance > farthest;
            const int32_t difference = is_near ? differences[distance] - logarithm : 0;
            const int32_t code = divide_rounding(difference, 22) + shape->greatest;
            const int32_t raised = code < shape->least || !is_near ? shape->least : code;
            store_output(output + i, raised > shape->greatest ? shape->greatest : raised);
        }
        input += depth;
        output += depth;
    }
}
