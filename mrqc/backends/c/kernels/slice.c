/* slice: a box of a tensor, in steps.
 *
 * Stack: 32 bytes. */
#include <stdint.h>

#include "next_place.h"
#include "slice_shape.h"
#include "slots/input.h"
#include "slots/output.h"

void slice(const input_t *input, const struct slice_shape *shape, output_t *output)
{
    const int32_t inner_extent = shape->extent[SLICE_RANK - 1];
    const int32_t inner_stride = shape->stride[SLICE_RANK - 1];
    int32_t index[SLICE_RANK] = {0};
    int32_t place = shape->start;
    do {
        for (int32_t i = 0; i < inner_extent; i++) {
            store_output(output + i, load_input(input + place + i * inner_stride));
        }
        output += inner_extent;
        place = next_place(index, shape->extent, shape->stride, SLICE_RANK - 1, place);
    } while (place >= 0);
}
