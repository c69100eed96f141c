/* Slot "round_operand": the layer's rounding rule for an operand, in 64 bits whatever the requantization takes. */
#ifndef MRQC_SLOT_ROUND_OPERAND_H
#define MRQC_SLOT_ROUND_OPERAND_H

#include <stdint.h>

static inline int64_t round_operand(int64_t value, int32_t shift)
{
    const int64_t sum = value + (int64_t)(((uint64_t)1 << shift) >> 1);
    return sum < 0 ? ~(~sum >> shift) : sum >> shift;
}

#endif
