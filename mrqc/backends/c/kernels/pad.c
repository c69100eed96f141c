/* pad: the input with one code around it.
 *
 * Stack: 64 bytes. */
#include <stdint.h>

#include "pad_shape.h"
#include "slots/input.h"
#include "slots/output.h"

/* Whether a row of the result, named by the indices of the outer axes, comes from the input. */
static inline int32_t holds_input(const int32_t *index, const struct pad_shape *shape)
{
    for (int32_t axis = 0; axis < PAD_RANK - 1; axis++) {
        const int32_t inside = index[axis] - shape->before[axis];
        if (inside < 0 || inside >= shape->extent[axis]) {
            return 0;
        }
    }
    return 1;
}

void pad(const input_t *input, const struct pad_shape *shape, int32_t code, output_t *output)
{
    const int32_t before = shape->before[PAD_RANK - 1];
    const int32_t extent = shape->extent[PAD_RANK - 1];
    const int32_t total = before + extent + shape->behind[PAD_RANK - 1];
    int32_t index[PAD_RANK] = {0};
    int32_t axis;
    do {
        const int32_t copied = holds_input(index, shape) ? extent : 0;
        for (int32_t i = 0; i < total; i++) {
            store_output(output + i, code);
        }
        for (int32_t i = 0; i < copied; i++) {
            store_output(output + before + i, load_input(input + i));
        }
        input += copied;
        output += total;
        /* Count up the outer axes like an odometer. */
        for (axis = PAD_RANK - 2; axis >= 0; axis--) {
            if (++index[axis] < shape->before[axis] + shape->extent[axis] + shape->behind[axis]) {
                break;
            }
            index[axis] = 0;
        }
    } while (axis >= 0);
}
