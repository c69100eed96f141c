/* softmax: along rows, by table and integer division.
 *
 * With m the greatest code of a row and e[i] = table[m - input[i]]:
 *   output[i] = clamp((e[i] * one + S / 2) / S + zero_point), S the sum of all e[i], divisions rounding down.
 * table [256], entry 0 at least 1; the emitter has checked that every sum and product fits its integer. */
#include <stdint.h>

#include "code_range.h"
#include "slots/input.h"
#include "slots/output.h"
#include "slots/sum.h"
#include "softmax_shape.h"

void softmax(const input_t *input, const int32_t *table, const struct softmax_shape *shape,
             const struct code_range *range, output_t *output)
{
    const int32_t depth = shape->depth;
    for (int32_t row = 0; row < shape->rows; row++) {
        int32_t greatest = load_input(input);
        sum_t sum = 0;
        for (int32_t i = 1; i < depth; i++) {
            const int32_t code = load_input(input + i);
            greatest = code > greatest ? code : greatest;
        }
        for (int32_t i = 0; i < depth; i++) {
            sum += (sum_t)table[greatest - load_input(input + i)];
        }
        for (int32_t i = 0; i < depth; i++) {
            const sum_t exponential = (sum_t)table[greatest - load_input(input + i)];
            const sum_t share = (exponential * (sum_t)shape->one + sum / 2) / sum;
            const int32_t code = (int32_t)share + range->zero_point;
            const int32_t raised = code < range->minimum ? range->minimum : code;
            store_output(output + i, raised > range->maximum ? range->maximum : raised);
        }
        input += depth;
        output += depth;
    }
}
