#ifndef MRQC_INTERPOLATION_H
#define MRQC_INTERPOLATION_H

#include <stdint.h>

/* A row or column of the result: the two of the input that it lies between, and the weight of the second. */
struct interpolation {
    int32_t lower;
    int32_t upper;
    int32_t weight;
};

#endif
