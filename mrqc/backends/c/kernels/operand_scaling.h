#ifndef MRQC_OPERAND_SCALING_H
#define MRQC_OPERAND_SCALING_H

#include <stdint.h>

/* An operand on a finer grid: round((code - zero_point) * one * multiplier / 2^shift), one = 2^left_shift. */
struct operand_scaling {
    int32_t zero_point;
    int32_t one;
    int32_t multiplier;
    int32_t shift;
};

#endif
