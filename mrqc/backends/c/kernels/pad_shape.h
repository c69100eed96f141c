#ifndef MRQC_PAD_SHAPE_H
#define MRQC_PAD_SHAPE_H

#include <stdint.h>

enum { PAD_RANK = 8 };

/* For each axis the extent of the input and how much is added before and behind it. Missing axes come first, with
 * extent 1. */
struct pad_shape {
    int32_t before[PAD_RANK];
    int32_t extent[PAD_RANK];
    int32_t behind[PAD_RANK];
};

#endif
