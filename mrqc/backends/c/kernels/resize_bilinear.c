/* resize_bilinear: images of another size, each element a weighted mean of four, rounded once.
 *
 * input [batch][input_height][input_width][channels], output [batch][output_height][output_width][channels]. */
#include <stdint.h>

#include "interpolation.h"
#include "resize_shape.h"
#include "slots/input.h"
#include "slots/output.h"
#include "slots/round_64.h"

void resize_bilinear(const input_t *input, const struct interpolation *rows, const struct interpolation *columns,
                     const struct resize_shape *shape, output_t *output)
{
    const int32_t channels = shape->channels;
    const int32_t row_size = shape->input_width * channels;
    const int64_t one = (int64_t)1 << shape->bits;
    for (int32_t image = 0; image < shape->batch; image++) {
        for (int32_t row = 0; row < shape->output_height; row++) {
            const input_t *top = input + rows[row].lower * row_size;
            const input_t *bottom = input + rows[row].upper * row_size;
            const int64_t down = rows[row].weight;
            for (int32_t column = 0; column < shape->output_width; column++) {
                const int32_t left = columns[column].lower * channels;
                const int32_t right = columns[column].upper * channels;
                const int64_t across = columns[column].weight;
                for (int32_t i = 0; i < channels; i++) {
                    const int64_t upper = load_input(top + left + i) * (one - across) +
                                          load_input(top + right + i) * across;
                    const int64_t lower = load_input(bottom + left + i) * (one - across) +
                                          load_input(bottom + right + i) * across;
                    const int64_t sum = upper * (one - down) + lower * down;
                    store_output(output + i, (int32_t)round_64(sum, 2 * shape->bits));
                }
                output += channels;
            }
        }
        input += shape->input_height * row_size;
    }
}
