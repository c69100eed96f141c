#ifndef MRQC_CODE_RANGE_H
#define MRQC_CODE_RANGE_H

#include <stdint.h>

/* Where the codes of a layer's result lie. */
struct code_range {
    int32_t zero_point;
    int32_t minimum;
    int32_t maximum;
};

#endif
