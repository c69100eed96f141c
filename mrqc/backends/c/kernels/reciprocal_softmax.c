/* reciprocal_softmax: along rows, by a table of exponentials and one fixed-point reciprocal for each row.
 *
 * With m the greatest code of a row and e[i] = table[m - input[i]] in Q0.31: output[i] = least + e[i] / S, in units of
 * 1 / 2^bits, S the sum of all e[i] in Q12.19. table [256]; rows are short enough for S to stay below 2^32. */
#include <stdint.h>

#include "q31.h"
#include "reciprocal_softmax_shape.h"
#include "slots/input.h"
#include "slots/output.h"

void reciprocal_softmax(const input_t *input, const int32_t *table, const struct reciprocal_softmax_shape *shape,
                        output_t *output)
{
    const int32_t depth = shape->depth;
    for (int32_t row = 0; row < shape->rows; row++) {
        int32_t greatest = load_input(input);
        int32_t position = 31;
        uint32_t sum = 0;
        for (int32_t i = 1; i < depth; i++) {
            const int32_t code = load_input(input + i);
            greatest = code > greatest ? code : greatest;
        }
        for (int32_t i = 0; i < depth; i++) {
            sum += (uint32_t)divide_rounding(table[greatest - load_input(input + i)], 12);
        }
        /* The sum becomes 1 + x with x from 0 to 1; its one was bit 19. */
        while (sum < (uint32_t)1 << 31) {
            sum <<= 1;
            position--;
        }
        const int32_t reciprocal = reciprocal_of_one_plus((int32_t)(sum - ((uint32_t)1 << 31)));
        const int32_t exponent = position - 19 + 31 - shape->bits;
        for (int32_t i = 0; i < depth; i++) {
            const int32_t share = multiply_q31(table[greatest - load_input(input + i)], reciprocal);
            const int32_t code = divide_rounding(share, exponent) + shape->least;
            store_output(output + i, code > shape->greatest ? shape->greatest : code);
        }
        input += depth;
        output += depth;
    }
}
