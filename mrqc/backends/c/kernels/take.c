/* take: the elements at constant indices along one axis. */
#include <stdint.h>

#include "slots/input.h"
#include "slots/output.h"
#include "take_shape.h"

void take(const input_t *input, const int32_t *indices, const struct take_shape *shape, output_t *output)
{
    const int32_t inner = shape->inner;
    for (int32_t outer = 0; outer < shape->outer; outer++) {
        for (int32_t chosen = 0; chosen < shape->count; chosen++) {
            const input_t *source = input + indices[chosen] * inner;
            for (int32_t i = 0; i < inner; i++) {
                store_output(output + i, load_input(source + i));
            }
            output += inner;
        }
        input += shape->extent * inner;
    }
}
