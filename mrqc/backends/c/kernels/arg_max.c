/* arg_max: the index of the first of the greatest codes along an axis, or of the least ones. */
#include <stdint.h>

#include "arg_max_shape.h"
#include "slots/input.h"
#include "slots/output.h"

void arg_max(const input_t *input, const struct arg_max_shape *shape, output_t *output)
{
    const int32_t inner = shape->inner;
    for (int32_t outer = 0; outer < shape->outer; outer++) {
        for (int32_t i = 0; i < inner; i++) {
            int32_t greatest = load_input(input + i) * shape->sign;
            int32_t found = 0;
            for (int32_t index = 1; index < shape->extent; index++) {
                const int32_t code = load_input(input + index * inner + i) * shape->sign;
                found = code > greatest ? index : found;
                greatest = code > greatest ? code : greatest;
            }
            store_output(output + i, found);
        }
        input += shape->extent * inner;
        output += inner;
    }
}
