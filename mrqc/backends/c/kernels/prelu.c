/* prelu: distances from zero, those below it times a slope that is stretched over the input.
 *
 * With d = input - input_zero_point: output = clamp(round(d * (slope - slope_zero_point) * negative) + zero_point) where
 * d is negative, else clamp(round(d * positive) + zero_point). The output may stand where the input stands.
 *
 * Stack: 48 bytes. */
#include <stdint.h>

#include "broadcast_shape.h"
#include "code_range.h"
#include "fixed_point.h"
#include "slots/input.h"
#include "slots/other.h"
#include "slots/output.h"
#include "slots/round_64.h"

void prelu(const input_t *input, int32_t input_zero_point, const other_t *slope, int32_t slope_zero_point,
           const struct broadcast_shape *shape, const struct fixed_point *positive,
           const struct fixed_point *negative, const struct code_range *range, output_t *output)
{
    const int32_t size = shape->extent[BROADCAST_RANK - 1];
    const int32_t input_step = shape->lhs_stride[BROADCAST_RANK - 1];
    const int32_t slope_step = shape->rhs_stride[BROADCAST_RANK - 1];
    struct broadcast_run run = {{0}, 0, 0};
    do {
        for (int32_t i = 0; i < size; i++) {
            const int64_t distance = load_input(input + run.lhs + i * input_step) - input_zero_point;
            const int64_t steepness = load_other(slope + run.rhs + i * slope_step) - slope_zero_point;
            const struct fixed_point *scale = distance < 0 ? negative : positive;
            const int64_t factor = distance < 0 ? steepness : 1;
            const int64_t rounded = round_64(distance * factor * scale->multiplier, scale->shift);
            const int64_t code = rounded + range->zero_point;
            const int64_t raised = code < range->minimum ? range->minimum : code;
            store_output(output + i, (int32_t)(raised > range->maximum ? range->maximum : raised));
        }
        output += size;
    } while (next_run(shape, &run));
}
