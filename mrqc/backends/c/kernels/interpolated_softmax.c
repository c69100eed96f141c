/* interpolated_softmax: along rows of 16-bit codes, exponentials and reciprocal read between the entries of tables.
 *
 * exponentials [513], reciprocals [513]: a 16-bit number is a place in a table; its lower 7 bits lead on to the next
 * entry. The greatest code of a row has the last place. */
#include <stdint.h>

#include "interpolated_softmax_shape.h"
#include "slots/input.h"
#include "slots/output.h"
#include "slots/round_64.h"

static inline int32_t interpolated_entry(const int16_t *entries, int64_t place)
{
    const int32_t raised = (int32_t)(place < INT16_MIN ? INT16_MIN : place > INT16_MAX ? INT16_MAX : place);
    const int32_t unsigned_place = raised - INT16_MIN;
    const int32_t base = entries[unsigned_place / 128];
    const int32_t rise = (entries[unsigned_place / 128 + 1] - base) * (unsigned_place % 128) + 64;
    return base + (rise < 0 ? ~(~rise >> 7) : rise >> 7);
}

static inline int32_t exponential_of(int32_t difference, const int16_t *exponentials,
                                     const struct interpolated_softmax_shape *shape)
{
    const int64_t place = round_64((int64_t)difference * shape->multiplier, shape->shift) + INT16_MAX;
    return interpolated_entry(exponentials, place);
}

void interpolated_softmax(const input_t *input, const int16_t *exponentials, const int16_t *reciprocals,
                          const struct interpolated_softmax_shape *shape, output_t *output)
{
    const int32_t depth = shape->depth;
    for (int32_t row = 0; row < shape->rows; row++) {
        int32_t greatest = load_input(input);
        int32_t position = 30;
        int32_t sum = 0;
        for (int32_t i = 1; i < depth; i++) {
            const int32_t code = load_input(input + i);
            greatest = code > greatest ? code : greatest;
        }
        for (int32_t i = 0; i < depth; i++) {
            sum += exponential_of(load_input(input + i) - greatest, exponentials, shape);
        }
        while (sum < (int32_t)1 << 30) {
            sum *= 2;
            position--;
        }
        const int32_t fraction = (int32_t)(((int64_t)sum + (1 << 13)) >> 14);
        const int32_t reciprocal = interpolated_entry(reciprocals, fraction - (1 << 15) - (1 << 16));
        for (int32_t i = 0; i < depth; i++) {
            const int32_t exponential = exponential_of(load_input(input + i) - greatest, exponentials, shape);
            const int64_t share = ((int64_t)exponential * reciprocal + ((int64_t)1 << position >> 1)) >> position;
            store_output(output + i, share > INT16_MAX ? INT16_MAX : (int32_t)share);
        }
        input += depth;
        output += depth;
    }
}
