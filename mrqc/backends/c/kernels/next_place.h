/* next_place: count up an index over some axes like an odometer, the last axis first.
 *
 * Returns the place of the new index in a tensor, or -1 after the last one, with the index back at its start. */
#ifndef MRQC_NEXT_PLACE_H
#define MRQC_NEXT_PLACE_H

#include <stdint.h>

static inline int32_t next_place(int32_t *index, const int32_t *extent, const int32_t *stride, int32_t rank,
                                 int32_t place)
{
    for (int32_t axis = rank - 1; axis >= 0; axis--) {
        place += stride[axis];
        if (++index[axis] < extent[axis]) {
            return place;
        }
        place -= extent[axis] * stride[axis];
        index[axis] = 0;
    }
    return -1;
}

#endif
